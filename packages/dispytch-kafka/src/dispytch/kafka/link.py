"""Whether the brokers answer."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from dispytch.exceptions import reason_of

_HANGS_AFTER: Final = 4.0
_FAILS_AFTER: Final = 2.0
"""Seconds in which everything may fail: a connection that the broker closes is made again."""


class Link:
    """Hears of every request of a client, and knows from that whether the brokers can be reached.

    It outlives clients. ``now`` gives the time, in seconds.
    """

    def __init__(self, address: str, now: Callable[[], float] = monotonic) -> None:
        self._address = address
        self._now = now
        self._waiting: dict[object, float] = {}
        self._heard = now()
        self._failing: float | None = None
        self._error: BaseException | None = None

    def begun(self, *, patient: bool) -> Callable[[BaseException | None], None]:
        """See `dispytch.kafka.driver.Requests.begun`."""
        request, began = object(), self._now()
        if not patient:
            self._waiting[request] = began

        def ended(error: BaseException | None) -> None:
            self._waiting.pop(request, None)
            if error is None:
                self._heard, self._failing, self._error = self._now(), None, None
            elif not isinstance(error, asyncio.CancelledError):
                self.failed(error, since=began)

        return ended

    def failed(self, error: BaseException, *, since: float | None = None) -> None:
        """Something has failed that would have told that a broker is there."""
        if self._failing is None:
            self._failing = self._now() if since is None else since
        self._error = error

    @property
    def problem(self) -> str | None:
        """A sentence for brokers that cannot be reached or do not answer."""
        now = self._now()
        if self._failing is not None and self._error is not None:
            lasting = now - self._failing
            if lasting >= _FAILS_AFTER:
                reason = reason_of(self._error)
                return f"Kafka at {self._address} has not answered for {lasting:.0f} s: {reason}"
        oldest = min(self._waiting.values(), default=now)
        if now - oldest >= _HANGS_AFTER and self._heard <= oldest:
            return f"Kafka at {self._address} has not answered a request for {now - oldest:.0f} s"
        return None
