"""A service with one handler, as a process of its own: ``python -m faults.service SETTINGS``.

The settings are a JSON object with the fields of `ServiceSettings`.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from faults.journal import Journal
from faults.step import Step

from dispytch import (
    Batch,
    BatchFailed,
    DeadLetterTopic,
    Event,
    EventListener,
    HandlerGroup,
    Health,
    RetryPolicy,
)
from dispytch.batch import By

HEALTH_EVERY = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What a service is told.

    journal, health: the files to write to; an existing health file says that it runs.
    shortest, longest: seconds that a handler takes; where between them follows from the event.
    batch: how many events the handler takes at once; 0: one, and not in a list. by: as in `Batch`.
    skew: 1 spreads them evenly; the larger it is, the rarer are the long ones.
    """

    url: str
    topic: str
    group: str
    journal: str
    health: str
    shortest: float = 0.02
    longest: float = 0.02
    skew: float = 1.0
    concurrency: int = 64
    max_in_flight: int = 256
    drain_timeout: float = 10.0
    stuck_after: float = 300.0
    attempts: int = 1
    batch: int = 0
    by: By = "topic"
    heals: bool = False
    """Whether the handler does its work on events that fail or stand still elsewhere."""
    keeps_unhandled: bool = False
    """Whether events that nobody takes are dead-lettered."""


class AlwaysFails(Exception):
    """What the handler raises when it is told to."""


class Steps:
    """The handler."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._journal = Journal(Path(settings.journal))

    async def handle(self, event: Event[Step]) -> None:
        """Note the beginning, take some time, note the end."""
        step = event.body
        place = (step.key, step.number, event.stream, event.position)
        self._journal.note("begun", *place)
        try:
            await self._work(step)
        except BaseException:
            self._journal.note("cut", *place)
            raise
        self._journal.note("done", *place)

    async def handle_batch(self, events: list[Event[Step]]) -> None:
        """Do the same with one after the other, and tell which have failed."""
        failures: dict[int, Exception] = {}
        for index, event in enumerate(events):
            try:
                await self.handle(event)
            except AlwaysFails as error:
                failures[index] = error
        if failures:
            raise BatchFailed(failures)

    async def _work(self, step: Step) -> None:
        settings = self._settings
        if step.conduct == "fails" and not settings.heals:
            raise AlwaysFails(f"{step.key} {step.number}")
        if step.conduct == "stuck" and not settings.heals:
            await asyncio.Event().wait()
        share = _drawn(step) ** settings.skew
        await asyncio.sleep(settings.shortest + share * (settings.longest - settings.shortest))


def _drawn(step: Step) -> float:
    """A number in [0, 1), the same for an event in every process."""
    return crc32(f"{step.key} {step.number}".encode()) / 2**32


async def serve(settings: ServiceSettings) -> None:
    """Listen until SIGTERM."""
    group, steps = HandlerGroup(), Steps(settings)

    if settings.batch:
        batch = Batch(settings.batch, wait=0.3, by=settings.by)

        @group.handler(topic=settings.topic, event="step", batch=batch)
        async def handle_batch(events: list[Event[Step]]) -> None:
            await steps.handle_batch(events)

    else:

        @group.handler(topic=settings.topic, event="step")
        async def handle(event: Event[Step]) -> None:
            await steps.handle(event)

    listener = EventListener(
        settings.url,
        group=settings.group,
        concurrency=settings.concurrency,
        max_in_flight=settings.max_in_flight,
        drain_timeout=settings.drain_timeout,
        stuck_after=settings.stuck_after,
        retry=RetryPolicy(attempts=settings.attempts, delay=0.1, factor=1.0),
        unhandled=DeadLetterTopic() if settings.keeps_unhandled else "ignore",
    )
    listener.add_handler_group(group)
    reporting = asyncio.create_task(_report(listener.health, Path(settings.health)))
    try:
        await listener.listen()
    finally:
        reporting.cancel()


async def _report(ask: Callable[[], Awaitable[Health]], path: Path) -> None:
    joined = False
    while True:
        health = await ask()
        if joined := joined or health.healthy or bool(health.streams):
            _write(path, asdict(health) | {"healthy": health.healthy})
        await asyncio.sleep(HEALTH_EVERY)


def _write(path: Path, content: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, default=str))
    os.replace(new, path)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(ServiceSettings(**json.loads(sys.argv[1]))))
