"""How one queue is being lost again and again, and what that means: pure."""

from collections.abc import Callable
from typing import Final

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 30.0
PROVEN_AFTER: Final = 3.0
"""Seconds that a queue must have been consumed, or settle something, to count as well again."""


class Losses:
    """The losses of one queue, of which one is like another until something has been settled.

    That it is being consumed again proves nothing: whatever it was lost of may be the next thing
    that the broker hands out.

    clock: in seconds.
    """

    def __init__(self, queue: str, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._clock = clock
        self._count = 0
        self._reason = ""
        self._since = 0.0
        self._back_at: float | None = None

    def lost(self, reason: str, *, progressed: bool) -> None:
        """It was lost; ``progressed`` says whether anything was settled since it was consumed."""
        if progressed or not self._count or self._is_proven():
            self._count, self._since = 0, self._clock()
        self._count += 1
        self._reason = reason
        self._back_at = None

    def failed(self, reason: str) -> None:
        """It could not be consumed again, this time."""
        self._reason = reason

    def back(self) -> None:
        """It is being consumed again."""
        self._back_at = self._clock()

    @property
    def pause(self) -> float:
        """How many seconds to wait before it is consumed again."""
        if self._count < 2:
            return 0.0
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._count - 2, 16))

    def problem(self, *, progressed: bool) -> str | None:
        """What is wrong, in a sentence; None while nothing is.

        progressed: whether anything was settled since it is consumed again.
        """
        if not self._count or (self._back_at is not None and (progressed or self._is_proven())):
            return None
        lasts = self._clock() - self._since
        if self._back_at is None:
            return f"queue {self._queue} is not consumed, since {lasts:.0f} s: {self._reason}"
        return (
            f"queue {self._queue} was lost {self._count} times within {lasts:.0f} s, and nothing "
            f"of it has been settled: {self._reason}"
        )

    def _is_proven(self) -> bool:
        return self._back_at is not None and self._clock() - self._back_at >= PROVEN_AFTER
