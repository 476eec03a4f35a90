"""Where a listener has its time from."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from time import time as since_the_epoch
from typing import Final, Protocol

_OF_SERVICE: Final[ContextVar["Clock | None"]] = ContextVar("dispytch_service_clock", default=None)


def service_time() -> Callable[[], float]:
    """What gives the time of the service that runs this task; outside of one, `time.monotonic`."""
    clock = _OF_SERVICE.get()
    return monotonic if clock is None else clock.time


def service_clock() -> "Clock":
    """The clock of the service that runs this task; outside of one, the event loop's."""
    return _OF_SERVICE.get() or Clock.of_loop()


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Have it not come; without effect once it has."""
        ...


class CallAt(Protocol):
    """As `asyncio.loop.call_at`: calls ``callback(*args)`` once, at a time of the clock."""

    def __call__(self, when: float, callback: Callable[..., object], /, *args: object) -> Timer:
        """Have it called; never early."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The time that attempts, delays and timeouts go by: the event loop's, but for tests.

    A clean end and a breath for the event loop don't: their deadlines are always real.

    time: seconds from any start on. wall: seconds since the epoch.
    call_at: calls something at a time of ``time``.
    timeout: as `asyncio.timeout`, for a number of seconds from now on.
    """

    time: Callable[[], float]
    call_at: CallAt
    wall: Callable[[], float] = since_the_epoch
    timeout: Callable[[float], AbstractAsyncContextManager[asyncio.Timeout]] = asyncio.timeout

    @classmethod
    def of_loop(cls) -> "Clock":
        """The clock of the event loop that runs."""
        loop = asyncio.get_running_loop()
        # asyncio's own loops go by this one, with a call around it that every event would pay.
        is_monotonic = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
        return cls(time=monotonic if is_monotonic else loop.time, call_at=loop.call_at)

    def govern(self) -> None:
        """Have `service_clock` give this one, in this task and in those that it starts."""
        _OF_SERVICE.set(self)
