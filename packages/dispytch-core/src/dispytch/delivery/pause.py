"""The time in which an event waits for what it is owed."""

import asyncio
from collections.abc import Callable, Sequence

from dispytch.clock import Clock
from dispytch.delivery.attempt import Attempt, Owed, let_go


class Pause:
    """Ends once: when the first of what is owed is due, or is brought forward.

    end: called then, once.
    """

    __slots__ = ("_clock", "_end", "_owed", "_timer")

    def __init__(self, clock: Clock, owed: Sequence[Owed], end: Callable[[], None]) -> None:
        self._clock = clock
        self._owed = owed
        self._end: Callable[[], None] | None = end
        self._timer = clock.call_at(min(one.due for one in owed), self._over)
        # Events of a batch that were postponed together wait for one future.
        for until in {one.until for one in owed if one.until is not None}:
            until.add_done_callback(self._hasten)

    def cancel(self) -> None:
        """Have it not end: what is owed is never paid here, and kept for it no longer."""
        if self._end is not None:
            self._end = None
            self._timer.cancel()
            let_go(self._owed)

    def _hasten(self, until: asyncio.Future[None]) -> None:
        if self._end is not None:
            self._timer.cancel()
            for one in self._owed:
                if isinstance(one, Attempt) and one.until is until:
                    one.hasten(self._clock.time())
            self._over()

    def _over(self) -> None:
        if self._end is not None:
            end, self._end = self._end, None
            end()
