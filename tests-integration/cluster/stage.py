"""A group of services on the cluster, with events on their way, and the reckoning."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cluster.kafka_cluster import KafkaCluster
from cluster.probe import ClusterProbe, probing
from faults.ledger import Ledger, Run
from faults.process import ServiceProcess
from faults.scene import Scene, until
from faults.step import Step, rounds

KEYS: Final = 60
PARTITIONS: Final = 6
WINDOW: Final = 128
CONCURRENCY: Final = 16
SHORTEST, LONGEST = 0.01, 0.05
PAUSE: Final = 0.3
SESSION: Final = 6
PATIENCE: Final = 180.0
SLOW: Final[dict[str, Any]] = {"shortest": 0.3, "longest": 0.6, "concurrency": 4}
"""So that what a member has received keeps it busy for longer than its session."""
SETTINGS: Final[dict[str, Any]] = {
    "shortest": SHORTEST,
    "longest": LONGEST,
    "concurrency": CONCURRENCY,
    "max_in_flight": WINDOW,
    "drain_timeout": 5.0,
}
OPTIONS: Final = f"?partitions={PARTITIONS}&session_timeout={SESSION}"


@dataclass(frozen=True, slots=True)
class Standstill:
    """A process that was suspended, from when to when in nanoseconds."""

    pid: int
    start: int
    end: int


class Stage:
    """What the torments work on."""

    def __init__(
        self,
        cluster: KafkaCluster,
        scene: Scene,
        probe: ClusterProbe,
        settings: Mapping[str, Any],
    ) -> None:
        self.cluster: Final = cluster
        self.scene: Final = scene
        self.probe: Final = probe
        self._settings = {**SETTINGS, **settings}
        self.standstills: list[Standstill] = []

    @property
    def members(self) -> list[ServiceProcess]:
        """The services that run."""
        return [service for service in self.scene.services if service.running]

    async def join(self, addresses: str | None = None) -> ServiceProcess:
        """One more member, ready."""
        own = {} if addresses is None else {"url": f"kafka://{addresses}{OPTIONS}"}
        member = self.scene.start(**{**self._settings, **own})
        await until(lambda: member.ready, "a member is ready", within=60)
        return member

    async def suspend(self, member: ServiceProcess, seconds: float) -> None:
        """Have a member stand still for so long, with all its connections open."""
        began = time.monotonic_ns()
        os.kill(member.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(member.pid, signal.SIGCONT)
            self.standstills.append(Standstill(member.pid, began, time.monotonic_ns()))

    async def flow(self) -> None:
        """Return once events are handled again."""
        await self.scene.until_handled(self.scene.handled() + KEYS, within=90)

    def reckoning(self) -> "Reckoning":
        """The counts as they are now."""
        return Reckoning(self.scene, self.scene.ledger(), self.probe, self.standstills)


class Reckoning:
    """What has become of all that was acknowledged."""

    def __init__(
        self, scene: Scene, ledger: Ledger, probe: ClusterProbe, standstills: list[Standstill]
    ) -> None:
        self.acknowledged: Final = len(scene.emitted)
        self.handled: Final = ledger.handled
        self.lost: Final = sum(map(len, ledger.lost.values()))
        self.disorder: Final = sum(map(len, ledger.disorder.values()))
        self.duplicates: Final = ledger.duplicates
        self.emitted_again: Final = scene.emitted_again
        self.overlaps: Final = [
            pair for pair in ledger.overlaps if not _stood_still(pair, standstills)
        ]
        self.longest_stall: Final = max(_gaps(ledger, standstills), default=0.0)
        self.cluster_stall: Final = probe.longest

    def __str__(self) -> str:
        beyond = max(0.0, self.longest_stall - self.cluster_stall)
        return (
            f"acknowledged {self.acknowledged:,}, handled {self.handled:,}, lost {self.lost}, "
            f"disorder {self.disorder}, duplicates {self.duplicates}, emitted again "
            f"{self.emitted_again}, overlaps {len(self.overlaps)}, longest stall "
            f"{self.longest_stall:.1f} s, of the cluster {self.cluster_stall:.1f} s, beyond it "
            f"{beyond:.1f} s"
        )


def repeats(faults: int, members: int) -> int:
    """How many events may be handled again, or emitted again, after so many faults.

    At each fault every member may lose its partitions: what is in flight, and what was handled
    since the last commit.
    """
    mean = (SHORTEST + LONGEST) / 2
    one = WINDOW + int(CONCURRENCY / mean * (1.0 + LONGEST))
    return faults * members * one


@asynccontextmanager
async def playing(
    cluster: KafkaCluster,
    unique: str,
    folder: Path,
    *,
    members: int = 2,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> AsyncGenerator[Stage]:
    """Members at work, and events emitted all the time; at the end all of them are handled.

    settings: of the services, where they are not the usual ones.
    """
    url = f"kafka://{cluster.many}{OPTIONS}"
    scene = Scene(url, f"steps-{unique}", f"walkers-{unique}", folder)
    ended = asyncio.Event()
    try:
        async with probing(cluster.plain, f"probe-{unique}") as probe:
            stage = Stage(cluster, scene, probe, settings)
            await asyncio.gather(*(stage.join() for _ in range(members)))
            emitting = asyncio.create_task(
                scene.emit(_until(ended, scene.topic), pause=PAUSE, patience=PATIENCE)
            )
            try:
                await stage.flow()
                probe.begin()
                yield stage
            finally:
                ended.set()
                await emitting
            await scene.until_handled(len(scene.emitted), within=PATIENCE)
    finally:
        scene.close()


def _until(ended: asyncio.Event, topic: str) -> Iterator[list[Step]]:
    for batch in rounds(topic, events=1_000_000, keys=KEYS):
        if ended.is_set():
            return
        yield batch


def _stood_still(pair: tuple[Run, Run], standstills: list[Standstill]) -> bool:
    """Whether one of two runs was under way while its process was suspended: it could not know."""
    return any(
        run.pid == one.pid and run.start < one.end and (run.end or 0) > one.start
        for run in pair
        for one in standstills
    )


def _gaps(ledger: Ledger, standstills: list[Standstill]) -> Iterator[float]:
    """The seconds between two events handled by one service, but for those that were suspended."""
    suspended = {one.pid for one in standstills}
    ends: dict[int, list[int]] = {}
    for run in ledger.runs:
        if run.end is not None and run.pid not in suspended:
            ends.setdefault(run.pid, []).append(run.end)
    for of_one in ends.values():
        yield from ((later - earlier) / 1e9 for earlier, later in pairwise(sorted(of_one)))
