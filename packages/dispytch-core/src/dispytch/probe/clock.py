"""Time that a test can move."""

import asyncio
import heapq
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Literal

from dispytch.clock import Clock

Pace = Literal["auto", "manual"]
"""Whether a probe's clock runs by itself; see `dispytch.EventListener.test`."""


class ProbeClock:
    """A clock that can be moved ahead; between moves it runs, or stands still.

    changed: is called when something has been put on the clock, or taken off.
    """

    def __init__(self, pace: Pace, changed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._runs = pace == "auto"
        self._changed = changed
        self._least = self._loop.time()
        self._ahead = 0.0
        self._epoch = time.time() - self._least
        self._timers: list[tuple[float, int, _Timer]] = []
        self._numbers = count()
        self._alarm: asyncio.TimerHandle | None = None

    def clock(self) -> Clock:
        """As the engine takes it."""
        return Clock(time=self.time, call_at=self.call_at, wall=self.wall, timeout=self.timeout)

    def time(self) -> float:
        """Seconds from any start on."""
        # Never less than it was moved to: adding and subtracting may lose the last bit.
        return max(self._least, self._loop.time() + self._ahead) if self._runs else self._least

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + self.time()

    def call_at(self, when: float, callback: Callable[..., object], /, *args: object) -> "_Timer":
        """See `dispytch.clock.CallAt`."""
        timer = _Timer(callback, args)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        self._wind()
        self._changed()
        return timer

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncGenerator[asyncio.Timeout, None]:
        """See `Clock.timeout`."""
        async with asyncio.timeout(None) as limit:
            timer = self.call_at(self.time() + seconds, self._expire, limit)
            try:
                yield limit
            finally:
                timer.cancel()

    @property
    def next_due(self) -> float | None:
        """When the next call is due; None when there is none."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def move_to(self, when: float) -> None:
        """Have it be at least so late, and call what is due by then."""
        self._least = max(when, self.time())
        self._ahead = self._least - self._loop.time()
        self._ring()

    def close(self) -> None:
        """Call nothing any more."""
        self._timers.clear()
        self._wind()

    def _expire(self, limit: asyncio.Timeout) -> None:
        limit.reschedule(self._loop.time())

    def _ring(self) -> None:
        now = self.time()
        while (due := self.next_due) is not None and due <= now:
            heapq.heappop(self._timers)[2].call()
        self._wind()
        self._changed()

    def _wind(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self.next_due
        if self._runs and due is not None:
            self._alarm = self._loop.call_at(due - self._ahead, self._ring)


class _Timer:
    __slots__ = ("_args", "_callback", "cancelled")

    def __init__(self, callback: Callable[..., object], args: tuple[object, ...]) -> None:
        self._callback = callback
        self._args = args
        self.cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def call(self) -> None:
        self._callback(*self._args)
