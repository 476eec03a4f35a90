"""Places that a limited number of runs have at once, and the queue for them."""

from asyncio import Future
from dataclasses import dataclass
from typing import Final

from dispytch.middleware.claims import Claimant

PATIENCE: Final = 5.0
"""Seconds after which who waits asks again, and after which who was called has lost the place."""


@dataclass(eq=False, slots=True)
class _Waiting:
    freed: Future[None]
    until: float


class Places:
    """``limit`` places, given to those who wait in the order in which they came.

    Who waits may be gone without a word, as its partition was revoked. So a place that is kept for
    one who was called is kept for some seconds only, and so is one's own place in the queue.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: set[Claimant] = set()
        self._waiting: dict[Claimant, _Waiting] = {}
        self._called: dict[Claimant, float] = {}

    def has(self, who: Claimant) -> bool:
        """Whether it has a place."""
        return who in self._taken

    def is_deserted(self, now: float) -> bool:
        """Whether nobody has a place, or may still come for one."""
        waiting = any(one.until >= now for one in self._waiting.values())
        called = any(until >= now for until in self._called.values())
        return not (self._taken or waiting or called)

    def enter(self, who: Claimant, now: float) -> bool:
        """Take a place, if one is free, or was kept for this one."""
        self._forget(now)
        if self._called.pop(who, None) is None and self._free() < 1:
            return False
        self._waiting.pop(who, None)
        self._taken.add(who)
        return True

    def queue(self, who: Claimant, freed: Future[None], now: float) -> None:
        """Wait until ``freed`` is done: then a place is kept. Who waits already keeps its turn."""
        self._waiting[who] = _Waiting(freed, now + 2 * PATIENCE)

    def leave(self, who: Claimant, now: float) -> None:
        """Give a place back, and call the next one who waits."""
        self._taken.discard(who)
        self._forget(now)
        while self._waiting and self._free() > 0:
            next_one = next(iter(self._waiting))
            waiting = self._waiting.pop(next_one)
            if waiting.until >= now and not waiting.freed.done():
                self._called[next_one] = now + PATIENCE
                waiting.freed.set_result(None)

    def _free(self) -> int:
        return self._limit - len(self._taken) - len(self._called)

    def _forget(self, now: float) -> None:
        # All are kept equally long, so that the first ones are the oldest.
        while self._called:
            who, until = next(iter(self._called.items()))
            if until >= now:
                break
            del self._called[who]
