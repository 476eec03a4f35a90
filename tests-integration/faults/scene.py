"""One fault test's stage: a broker, a topic, a group, a known set of events, and services."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from faults.journal import Entry, JournalReader
from faults.ledger import Ledger
from faults.process import ServiceProcess
from faults.service import ServiceSettings
from faults.step import Step, numbers_of

from dispytch import DeadLetter, DeadLetters, EventEmitter
from dispytch.exceptions import SendError

SETTLED_WITHIN: Final = 1.0
"""Seconds within which a backend tells the broker of an ack: `Consumer.ack` promises it."""


class Scene:
    """See the module. Services that still run when it is closed are killed."""

    def __init__(self, url: str, topic: str, group: str, folder: Path) -> None:
        self.url = url
        self.topic = topic
        self.group = group
        self.services: list[ServiceProcess] = []
        self.emitted: list[Step] = []
        self.emitted_again = 0
        self._folder = folder
        self._journal = JournalReader(folder / "journal")

    @property
    def is_kafka(self) -> bool:
        """Whether the broker is Kafka, else RabbitMQ."""
        return self.url.startswith("kafka")

    def repeats(self, *, window: int, rate: float, longest: float) -> int:
        """How many events may be handled again after one loss of a connection or a process.

        window: what may be received and not settled. rate: events handled a second at most.
        longest: seconds that a handler may take.

        RabbitMQ counts what it was not told of as in flight, so the window bounds both. On Kafka
        what was handled since the last commit comes on top, and so does what was handled behind
        the oldest event that was not.
        """
        return window + (int(rate * (SETTLED_WITHIN + longest)) if self.is_kafka else 0)

    def close(self) -> None:
        """Kill what still runs."""
        for service in self.services:
            service.kill()

    def settings(self, **settings: Any) -> ServiceSettings:
        """What the next service is told, by default and here."""
        health = self._folder / f"service-{len(self.services)}.health"
        return ServiceSettings(
            **{
                "url": self.url,
                "topic": self.topic,
                "group": self.group,
                "journal": str(self._journal.path),
                "health": str(health),
                **settings,
            }
        )

    def start(self, **settings: Any) -> ServiceProcess:
        """Start one more service process; it may take a moment until it is ready."""
        service = ServiceProcess(self.settings(**settings))
        self.services.append(service)
        return service

    async def started(self, **settings: Any) -> ServiceProcess:
        """Start one more service process, and wait until it is ready."""
        service = self.start(**settings)
        await until(lambda: service.ready, "a service is ready", within=40)
        return service

    async def emit(
        self, batches: Iterable[Sequence[Step]], *, pause: float = 0.0, patience: float = 40.0
    ) -> None:
        """Emit batches one after the other; what was not confirmed is emitted again, as it is.

        So a batch must not hold two events of one key. Ends only when all are confirmed.
        """
        async with EventEmitter(self.url) as emitter:
            for batch in batches:
                self.emitted += batch
                await self._emit_all(emitter, list(batch), patience)
                await asyncio.sleep(pause)

    async def emit_all_at_once(self, batches: Iterable[Sequence[Step]]) -> None:
        """Emit as fast as the broker takes it."""
        async with EventEmitter(self.url) as emitter:
            for batch in batches:
                self.emitted += batch
                await emitter.emit_many(batch)

    async def _emit_all(self, emitter: EventEmitter, batch: list[Step], patience: float) -> None:
        deadline = time.monotonic() + patience
        while batch:
            try:
                await emitter.emit_many(batch)
            except SendError as error:
                if time.monotonic() > deadline:
                    raise
                batch = [batch[index] for index in sorted(error.failures)]
                self.emitted_again += len(batch)
                await asyncio.sleep(0.1)
            else:
                return

    def ledger(self, dead: Mapping[str, Sequence[int]] | None = None) -> Ledger:
        """The reckoning as it is now."""
        return Ledger(numbers_of(self.emitted), self._journal.entries(), dead)

    def entries(self) -> Sequence[Entry]:
        """The journal as it is now."""
        return self._journal.entries()

    def handled(self) -> int:
        """How many different events were handled so far."""
        return len({(e.key, e.number) for e in self._journal.entries() if e.mark == "done"})

    def runs(self) -> int:
        """How many runs of handlers have come to their end so far."""
        return sum(entry.mark == "done" for entry in self._journal.entries())

    def begun(self, service: ServiceProcess) -> int:
        """How many runs of handlers have begun in one process."""
        return sum(e.mark == "begun" and e.pid == service.pid for e in self._journal.entries())

    def running(self, service: ServiceProcess) -> int:
        """How many handlers run at this moment in one process."""
        marks = [e.mark for e in self._journal.entries() if e.pid == service.pid]
        return 2 * marks.count("begun") - len(marks)

    async def until_in_mid_flow(self, service: ServiceProcess, *, more: int, running: int) -> None:
        """Return once so many more handlers have begun, and more than ``running`` run in a process.

        Raises:
            AssertionError: that was not within 30 seconds.
        """
        begun = self.runs() + more
        await until(
            lambda: self.runs() >= begun and self.running(service) > running,
            "it is in mid-flow",
            within=30,
        )

    async def until_handled(self, count: int, *, within: float) -> None:
        """Return once so many different events were handled.

        Raises:
            AssertionError: they were not in time, or no service is left to do it.
        """

        def enough() -> bool:
            alive = any(service.running for service in self.services)
            assert alive or self.handled() >= count, f"no service is left:\n{self._logs()}"
            return self.handled() >= count

        try:
            await until(enough, f"{count} events are handled", within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.handled()} are\n{self._logs()}") from None

    async def dead_letters(self, *, limit: int = 2000) -> list[DeadLetter]:
        """What was dead-lettered."""
        return await DeadLetters(self.url, topic=self.topic, group=self.group).read(limit=limit)

    async def refused_letters(self) -> list[DeadLetter]:
        """What lies in the group's own dead-letter topic, as another refused it."""
        return await DeadLetters(self.url, group=self.group).read(limit=2000)

    def _logs(self) -> str:
        return "\n".join(f"--- {service.pid}\n{service.log}" for service in self.services[-3:])


async def until(condition: Callable[[], bool], what: str, *, within: float) -> float:
    """Return once it holds: after how many seconds it did.

    Raises:
        AssertionError: it did not in time.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within} s: {what}")
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def assert_kept(ledger: Ledger, *, duplicates: int) -> None:
    """None is lost, each key is in order, and at most so many were handled again."""
    assert not ledger.lost, f"lost: {ledger.lost}"
    assert not ledger.strangers, f"never emitted: {ledger.strangers}"
    assert not ledger.disorder, f"after a later one of its key: {ledger.disorder}"
    found = ledger.duplicates
    assert found <= duplicates, f"{found} were handled again, {duplicates} may be"
