"""Records that wait until they are due."""

import asyncio
import heapq
import time
from collections import defaultdict, deque
from collections.abc import Callable
from itertools import count
from typing import Final

from dispytch.memory.log import Record
from dispytch.memory.topic import Partition

_FULL: Final = 0.02
"""Seconds until a partition that has no room for a record that is due is asked again."""


class Delayed:
    """Appends each record when it is due, never before.

    Records of one partition that are due at the same time are appended in the order in which they
    were added. The broker keeps them, so no producer need stay; they are appended by the event
    loops of the consumers, whichever runs then, and at the latest when the next consumer joins.

    ``clock`` gives the time in seconds. A test may set another one, and call `deliver` when it has
    moved it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._waiting: list[tuple[float, int, Partition, Record]] = []
        self._due: defaultdict[Partition, deque[Record]] = defaultdict(deque)
        self._numbers = count()
        self._timers: dict[asyncio.AbstractEventLoop, asyncio.TimerHandle | None] = {}

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._due.values()))

    @property
    def next_due(self) -> float | None:
        """When the next record is due; None when none waits."""
        return self._waiting[0][0] if self._waiting else None

    def add(self, due: float, partition: Partition, record: Record) -> None:
        """Have a record appended once the clock has reached ``due``."""
        number = next(self._numbers)
        heapq.heappush(self._waiting, (due, number, partition, record))
        if self._waiting[0][1] == number:
            self._wind()

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Append what is due, now and, while this event loop is open, whenever something is."""
        self._timers.setdefault(loop, None)
        self.deliver()

    def deliver(self) -> None:
        """Append what is due; what finds its partition full has to wait a little longer."""
        now = self.clock()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, partition, record = heapq.heappop(self._waiting)
            self._due[partition].append(record)
        for partition, records in list(self._due.items()):
            while records and partition.append(records[0]):
                records.popleft()
            if not records:
                del self._due[partition]
        self._wind()

    def _wind(self) -> None:
        """Set the timer of every loop for the first that is due."""
        wait = self._wait()
        for loop, timer in list(self._timers.items()):
            if timer is not None:
                timer.cancel()
            if loop.is_closed():
                del self._timers[loop]
            else:
                self._timers[loop] = None if wait is None else loop.call_later(wait, self.deliver)

    def _wait(self) -> float | None:
        """Seconds until something is to be done, or None."""
        if self._due:
            return _FULL
        return max(0.0, self._waiting[0][0] - self.clock()) if self._waiting else None
