"""The calls to `send`, and their messages on their way."""

import asyncio
from dataclasses import dataclass
from typing import Final

from dispytch.exceptions import SendError, TransportError
from dispytch.messages import Header


class Sending:
    """Counts what is still to be confirmed of one call, and collects what is not taken.

    When it is ``over``, nobody waits any more: what is not on its way need not be sent.
    """

    __slots__ = ("_failures", "_open", "_total", "deadline", "done", "over")

    def __init__(self, total: int, deadline: float = 0.0) -> None:
        self.deadline: Final = deadline
        self._total = self._open = total
        self._failures: dict[int, TransportError] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over: bool = False

    def confirm(self) -> None:
        """One more is durable, or has failed."""
        self._open -= 1
        if not self._open and not self.done.done():
            self.done.set_result(None)

    def fail(self, index: int, failure: TransportError) -> None:
        """This one is not taken."""
        self._failures[index] = failure
        self.confirm()

    def expire(self) -> None:
        """Have whoever waits for it get a `TimeoutError`."""
        if not self.done.done():
            self.done.set_exception(TimeoutError())
            self.done.exception()  # Who looks for a route still is told by its own timeout.

    def check(self) -> None:
        """Return if all are durable.

        Raises:
            SendError: some were not taken.
        """
        if self._failures:
            raise SendError(self._failures, self._total)


class Sendings:
    """The calls that are under way, each of which has so many seconds.

    They run out of time in the order in which they began, so one timer watches the oldest of them
    and nobody needs one of its own.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds
        self._loop = asyncio.get_running_loop()
        self._under_way: dict[Sending, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self, total: int) -> Sending:
        """One more call, with so many messages."""
        sending = Sending(total, self._loop.time() + self._seconds)
        if not self._under_way:
            self._idle.clear()
        self._under_way[sending] = None
        if self._timer is None:
            self._timer = self._loop.call_at(sending.deadline, self._expire)
        return sending

    def end(self, sending: Sending) -> None:
        """Nobody waits for this one any more."""
        sending.over = True
        del self._under_way[sending]
        if not self._under_way:
            self._idle.set()

    async def ended(self) -> None:
        """Return when none is under way; they all end in time."""
        await self._idle.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for sending in self._under_way:
            if sending.deadline > now:
                self._timer = self._loop.call_at(sending.deadline, self._expire)
                break
            sending.expire()


@dataclass(slots=True, eq=False)
class Parcel:
    """A message on its way to a partition.

    sent_on: it is one that was received; whatever its size, somebody has sent it before.
    compressed: it was too large as it is, and is tried in a compressed batch.
    """

    sending: Sending
    index: int
    key: bytes | None
    value: bytes | None
    headers: list[Header]
    timestamp: int | None = None
    sent_on: bool = False
    compressed: bool = False
    handed_over: bool = False
    settled: bool = False

    @property
    def size(self) -> int:
        """In bytes, but for a few that its numbers take."""
        headers = sum([len(name) + len(value or b"") for name, value in self.headers])
        return len(self.value or b"") + len(self.key or b"") + headers

    def confirm(self) -> None:
        """It is durable."""
        self.settled = True
        self.sending.confirm()

    def fail(self, failure: TransportError) -> None:
        """It is not taken."""
        self.settled = True
        self.sending.fail(self.index, failure)
