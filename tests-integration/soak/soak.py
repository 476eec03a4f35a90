"""Hostile bytes for a while, beside good events, and the reckoning."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from faults.ledger import Ledger
from faults.process import ServiceProcess
from faults.scene import Scene, until
from faults.step import Step
from rabbitmq.hostile import PROPERTIES, publish
from soak.here import ServiceHere
from soak.hostile import CANARY, Hostile, Names, number_of
from soak.letters import Letters, reading
from soak.raw_kafka import BATCHES, raw_kafka

from dispytch import EventEmitter
from dispytch.backends import backend_from
from dispytch.exceptions import SendError
from dispytch.messages import Message
from dispytch.transport import Producer

KEYS: Final = 50
PAUSE: Final = 0.2
HOSTILE_PER_ROUND: Final = 40
RAW_PER_ROUND: Final = 2
STANDSTILL: Final = 10.0
"""Seconds in which something must be settled, or nothing more will be."""
AHEAD: Final = 2_000
"""How many messages may wait before no more are sent for now."""

SendRaw = Callable[[int], Awaitable[None]]


@dataclass(slots=True)
class Report:
    """What was sent, and what became of it."""

    backend: str
    seconds: float = 0.0
    good: int = 0
    hostile: int = 0
    raw: int = 0
    letters: int = 0
    ended: bool = False
    lost: int = 0
    disorder: int = 0
    duplicates: int = 0
    unaccounted: list[int] = field(default_factory=list)
    nameless_missing: int = 0
    leaks: list[str] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)
    healthy_at_the_end: bool = False
    longest_stall: float = 0.0
    first_mb: float = 0.0
    last_mb: float = 0.0

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        found = {
            "the service has ended": self.ended,
            "good events were lost": self.lost,
            "good events were out of order": self.disorder,
            "good events came twice": self.duplicates,
            f"hostile messages are unaccounted for: {self.unaccounted[:10]}": self.unaccounted,
            "raw messages are unaccounted for": self.nameless_missing,
            f"values of bodies are shown: {self.leaks[:3]}": self.leaks,
            f"health is not green at the end: {self.problems}": not self.healthy_at_the_end,
        }
        return [text for text, is_so in found.items() if is_so]

    @property
    def row(self) -> str:
        """A line of the table in the docs."""
        return (
            f"| {self.backend} | {self.seconds / 60:.1f} min | {self.good:,} | {self.hostile:,} "
            f"| {self.raw:,} | {self.letters:,} | {self.lost} | {self.disorder} "
            f"| {self.duplicates} | {len(self.unaccounted) + self.nameless_missing} "
            f"| {len(self.leaks)} | {self.longest_stall:.1f} s "
            f"| {self.first_mb:.0f} → {self.last_mb:.0f} MB |"
        )


HEAD: Final = (
    "| Broker | for | good | hostile | raw | dead letters | lost | disorder | twice "
    "| unaccounted | values shown | longest stall | memory |\n" + "|---" * 13 + "|"
)


async def soak(url: str, unique: str, folder: Path, *, seconds: float, seed: int) -> Report:
    """Send good and hostile messages for so long, wait until all are settled, and reckon."""
    kind = url.partition(":")[0]
    dot = "-" if kind == "kafka" else "."
    scene = Scene(url, f"steps{dot}{unique}", f"walkers-{unique}", folder)
    names = Names(scene.topic, f"{scene.group}.retry")
    dead = [f"{topic}.{scene.group}.dead" for topic in (names.topic, names.retry)]
    report = Report(kind)
    service = _started(scene)
    await until(lambda: service.ready, "the service is ready", within=40)
    try:
        async with (
            reading(url, f"{scene.group}.reader", [*dead, f"{scene.group}.dead"]) as letters,
            _raw(scene) as send_raw,
        ):
            report.first_mb = service.resident_mb
            hostile = await _bombard(scene, names, letters, send_raw, report, seconds, seed)
            await _settled(scene, service, letters, report)
            report.last_mb = service.resident_mb
    finally:
        await _ended(scene, service)
    _reckon(scene.ledger(), service.whole_log, letters, hostile, report)
    return report


def _started(scene: Scene) -> ServiceProcess | ServiceHere:
    settings: dict[str, Any] = {"shortest": 0.001, "longest": 0.005, "keeps_unhandled": True}
    if scene.url.startswith("memory"):
        return ServiceHere(scene.settings(**settings))
    return scene.start(**settings)


async def _ended(scene: Scene, service: ServiceProcess | ServiceHere) -> None:
    if service.running:
        await service.stopped()
    scene.close()


async def _bombard(
    scene: Scene,
    names: Names,
    letters: Letters,
    send_raw: SendRaw,
    report: Report,
    seconds: float,
    seed: int,
) -> Hostile:
    backend = backend_from(scene.url)
    hostile = Hostile(names, backend.features.attribute_prefixes[0], seed)
    draw = random.Random(seed)
    began, number = time.monotonic(), 0
    async with backend.producer() as producer, EventEmitter(scene.url) as emitter:
        while time.monotonic() - began < seconds:
            steps = [
                Step(topic=scene.topic, key=f"key-{key}", number=number, padding=CANARY)
                for key in range(KEYS)
            ]
            draw.shuffle(steps)
            scene.emitted += steps
            bad = list(hostile.messages(HOSTILE_PER_ROUND))
            await asyncio.gather(_sent(producer, bad, hostile), emitter.emit_many(steps))
            for _ in range(RAW_PER_ROUND):
                await send_raw(report.raw)
                report.raw += 1
            number += 1
            await asyncio.sleep(PAUSE)
            while _waiting(scene, letters, hostile) > AHEAD:  # noqa: ASYNC110 - see `Scene`
                await asyncio.sleep(PAUSE)
    report.seconds = time.monotonic() - began
    report.good, report.hostile = len(scene.emitted), hostile.sent - len(hostile.refused)
    return hostile


def _waiting(scene: Scene, letters: Letters, hostile: Hostile) -> int:
    return len(scene.emitted) + hostile.sent - scene.runs() - letters.count


async def _sent(producer: Producer, messages: Sequence[Message], hostile: Hostile) -> None:
    """Send what the broker takes: some of it cannot be written in its protocol."""
    try:
        await producer.send(messages)
    except SendError as error:
        hostile.refused |= {number_of(messages[index]) for index in error.failures}


async def _settled(
    scene: Scene, service: ServiceProcess | ServiceHere, letters: Letters, report: Report
) -> None:
    """Wait until everything is accounted for, as long as that goes on; then for a green health."""

    while service.running and not _is_settled(scene, letters, report):
        before = scene.runs() + letters.count
        await asyncio.sleep(STANDSTILL)
        if scene.runs() + letters.count == before:
            break
    try:
        await until(lambda: not service.running or _is_green(service), "it is green", within=30)
        report.healthy_at_the_end = service.running
    except AssertionError:
        report.problems |= set(service.health.problems)
    report.ended = not service.running


def _is_settled(scene: Scene, letters: Letters, report: Report) -> bool:
    enough = letters.count >= report.hostile + report.raw
    return enough and scene.handled() >= report.good


def _is_green(service: ServiceProcess | ServiceHere) -> bool:
    health = service.health
    return bool(health.healthy) and not health.in_flight and not any(health.lag.values())


def _reckon(ledger: Ledger, log: str, letters: Letters, hostile: Hostile, report: Report) -> None:
    report.letters = letters.count
    report.lost = sum(map(len, ledger.lost.values()))
    report.disorder = sum(map(len, ledger.disorder.values()))
    report.duplicates = ledger.duplicates
    sent = set(range(1, hostile.sent + 1)) - hostile.refused
    report.unaccounted = sorted(sent.difference(letters.times))
    report.nameless_missing = max(0, report.raw - letters.nameless)
    report.leaks = letters.leaks
    report.leaks += [line[:300] for line in log.splitlines() if CANARY in line]
    report.longest_stall = _longest_stall(ledger)


def _longest_stall(ledger: Ledger) -> float:
    ends = sorted(run.end for run in ledger.runs if run.end is not None)
    return max((b - a for a, b in pairwise(ends)), default=0) / 1e9


@asynccontextmanager
async def _raw(scene: Scene) -> AsyncGenerator[SendRaw]:
    """What no driver writes, as far as this broker has such a thing."""
    address = scene.url.partition("//")[2].partition("?")[0]
    if scene.url.startswith("kafka"):
        async with raw_kafka(address, scene.topic) as kafka:

            async def record(number: int) -> None:
                await kafka.send(BATCHES[number % len(BATCHES)])

            yield record
    elif scene.url.startswith("memory"):
        async with backend_from(scene.url).producer() as producer:

            async def message(number: int) -> None:
                headers = [("\udcff\udcfe", b"a"), ("type", b"step"), ("null", None)]
                await producer.send([Message(scene.topic, CANARY.encode(), None, headers)])

            yield message
    else:
        properties = list(PROPERTIES.values())

        async def message_of(number: int) -> None:
            given = properties[number % len(properties)]
            await publish(scene.url, "dispytch", scene.topic.encode(), given, CANARY.encode())

        yield message_of
