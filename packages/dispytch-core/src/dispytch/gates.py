"""Gates that let runs of handlers begin, and the runs that wait at them: no I/O, no tasks.

A run that may not begin is postponed, and waits at every gate that it has met. It is called once
all of them are open for it at once, and each is then kept for it, for that one run. So no run keeps
one gate closed to others while it waits at another one.
"""

import asyncio
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Hashable
from itertools import count
from typing import Final, NamedTuple

from dispytch.clock import Clock

PATIENCE: Final = 5.0
"""Seconds for which a gate is kept for a run that was called, if another one asks for it."""

Now = Callable[[], float]
"""Gives the time that a gate goes by."""

_numbers: Final = count()


class Rank(NamedTuple):
    """When a run asked for the first time; it may travel with its event.

    since: in milliseconds since the epoch. number: tells those apart that have asked since then;
        it counts up in each process.
    """

    since: int
    number: int


class Gate(ABC):
    """Lets one run after the other begin, those that wait in the order in which they came."""

    def __init__(self) -> None:
        self._queue: list[Waiting] = []
        self._kept: dict[Waiting, float] = {}

    @abstractmethod
    def is_open(self, now: float) -> bool:
        """Whether one more may begin."""

    @abstractmethod
    def take(self, now: float) -> None:
        """One more begins, or is called."""

    @abstractmethod
    def put_back(self, now: float) -> None:
        """One less: it has ended, or does not begin after all."""

    @property
    def is_deserted(self) -> bool:
        """Whether nobody waits at it, or was called to it."""
        return not (self._queue or self._kept)

    def place(self, waiting: "Waiting") -> int:
        """How many runs stand before this one."""
        return bisect_left(self._queue, waiting)

    def call(self, now: float) -> None:
        """Call those who can begin now, in their order."""
        queue, index = self._queue, 0
        while index < len(queue) and self.is_open(now):
            waiting = queue[index]
            waiting.call()
            if index < len(queue) and queue[index] is waiting:
                index += 1

    def lapse(self, now: float) -> None:
        """Keep it no longer for those who were called long ago and have not come."""
        while self._kept:
            waiting, until = next(iter(self._kept.items()))
            if until >= now:
                return
            waiting.leave()

    def join(self, waiting: "Waiting", now: Now) -> None:
        """Have a run wait; it stands before all that came after it."""
        insort(self._queue, waiting)

    def quit(self, waiting: "Waiting") -> None:
        """Have a run wait no longer; without effect on one that does not."""
        index = self.place(waiting)
        if index < len(self._queue) and self._queue[index] is waiting:
            del self._queue[index]

    def keep(self, waiting: "Waiting", now: float) -> None:
        """It was taken for a run that is called."""
        self._kept[waiting] = now + PATIENCE

    def use(self, waiting: "Waiting") -> None:
        """Keep it no longer for a run: this one begins, or does not come."""
        self._kept.pop(waiting, None)


class Waiting:
    """A run of a handler that was postponed, until it has ended or never comes back.

    clock: of the service that runs it.
    rank: when it asked for the first time; now, if not given. Who has waited for longer is called
        first.
    """

    __slots__ = ("_gates", "_kept", "clock", "freed", "rank")

    def __init__(self, clock: Clock, rank: "Rank | None" = None) -> None:
        self.clock: Clock = clock
        self.rank: Rank = rank or Rank(round(clock.wall() * 1000), next(_numbers))
        self._gates: dict[Hashable, tuple[Now, Collection[Gate]]] = {}
        self._kept: dict[Gate, Now] = {}
        self.freed: asyncio.Future[None] | None = None
        """Done once it is called."""

    def __lt__(self, other: "Waiting") -> bool:
        """Whether it came before another one."""
        return self.rank < other.rank

    def wait(self, limit: Hashable, gates: Collection[Gate], now: Now) -> "asyncio.Future[None]":
        """Wait at the gates of this limit, beside those of others that it has met."""
        self._give_back()
        self._gates[limit] = now, gates
        self.freed = asyncio.get_running_loop().create_future()
        for time, met in self._gates.values():
            for gate in met:
                gate.quit(self)
                gate.join(self, time)
        return self.freed

    def call(self) -> None:
        """Have the run come, if all its gates are open; each is kept for it then."""
        assert self.freed is not None
        if self.freed.get_loop().is_closed():
            self.leave()
            return
        met = [(gate, now) for now, gates in self._gates.values() for gate in gates]
        if not all(gate.is_open(now()) for gate, now in met):
            return
        for gate, now in met:
            gate.take(now())
            gate.keep(self, now())
            gate.quit(self)
        self._kept.update(met)
        if not self.freed.done():
            self.freed.set_result(None)

    def keeps(self, gate: Gate) -> bool:
        """Whether a gate is kept for it."""
        return gate in self._kept

    def come(self) -> None:
        """It comes, and is on its way through the gates: it waits at none of them."""
        for _, gates in self._gates.values():
            for gate in gates:
                gate.quit(self)

    def use(self, gate: Gate) -> bool:
        """Begin at a gate; whether it was kept for this run, and so is taken already."""
        gate.use(self)
        return self._kept.pop(gate, None) is not None

    def leave(self) -> None:
        """It has ended, or never comes back: what was kept for it is for others."""
        self.come()
        self._gates.clear()
        self._give_back()

    def _give_back(self) -> None:
        kept, self._kept = self._kept, {}
        for gate, now in kept.items():
            gate.use(self)
            gate.put_back(now())
        for gate, now in kept.items():
            gate.call(now())


def begin(gates: Collection[Gate], waiting: Waiting | None, now: float) -> bool:
    """Begin a run at all of these gates, if each is open, or kept for it."""
    for gate in gates:
        gate.call(now)
    if not all(_lets(gate, waiting, now) for gate in gates):
        return False
    if waiting is not None:
        waiting.come()
    for gate in gates:
        if waiting is None or not waiting.use(gate):
            gate.take(now)
    return True


def end(gates: Collection[Gate], now: float) -> None:
    """End a run, or one that did not begin after all, and call those who can begin now."""
    for gate in gates:
        gate.put_back(now)
    for gate in gates:
        gate.call(now)


def _lets(gate: Gate, waiting: Waiting | None, now: float) -> bool:
    def lets() -> bool:
        return (waiting is not None and waiting.keeps(gate)) or gate.is_open(now)

    if lets():
        return True
    gate.lapse(now)
    return lets()
