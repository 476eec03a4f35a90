"""A token bucket: pure arithmetic on times, in seconds."""

from typing import Final

ROUNDING: Final = 1e-6
"""Seconds that nobody waits for: sums of times differ by less, depending on the steps taken."""


class TokenBucket:
    """Lets one through every ``interval`` seconds on average, and ``burst`` at once after a rest.

    It keeps one number, the time at which it would be full again (the generic cell rate algorithm):
    no token is ever counted, and nothing runs between two calls.
    """

    __slots__ = ("_full_at", "_interval", "_tolerance")

    def __init__(self, interval: float, burst: int) -> None:
        self._interval = interval
        self._tolerance = (burst - 1) * interval
        self._full_at = float("-inf")

    def take(self, now: float) -> None:
        """Take a token, also one that is yet to come."""
        self._full_at = max(self._full_at, now) + self._interval

    def put_back(self) -> None:
        """Give a token back that was not used."""
        self._full_at -= self._interval

    def wait(self, now: float) -> float:
        """Seconds until there is a token to take; zero if there is one now."""
        wait = self._full_at - self._tolerance - now
        return wait if wait > ROUNDING else 0.0

    def is_full(self, now: float) -> bool:
        """Whether it is as good as new."""
        return self._full_at <= now
