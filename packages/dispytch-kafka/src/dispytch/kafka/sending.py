"""One call to `send`, and its messages on their way."""

import asyncio
from dataclasses import dataclass

from dispytch.exceptions import SendError, TransportError


class Sending:
    """Counts what is still to be confirmed of one call, and collects what is not taken.

    When it is ``over``, nobody waits any more: what is not on its way need not be sent.
    """

    __slots__ = ("_failures", "_open", "_total", "done", "over")

    def __init__(self, total: int) -> None:
        self._total = self._open = total
        self._failures: dict[int, TransportError] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over = False

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

    def check(self) -> None:
        """Return if all are durable.

        Raises:
            SendError: some were not taken.
        """
        if self._failures:
            raise SendError(self._failures, self._total)


@dataclass(slots=True, eq=False)
class Parcel:
    """A message on its way to a partition."""

    sending: Sending
    index: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int | None = None
    handed_over: bool = False
    settled: bool = False

    @property
    def size(self) -> int:
        """In bytes, but for a few that its numbers take."""
        headers = sum([len(name) + len(value) for name, value in self.headers])
        return len(self.value) + len(self.key or b"") + headers

    def confirm(self) -> None:
        """It is durable."""
        self.settled = True
        self.sending.confirm()

    def fail(self, failure: TransportError) -> None:
        """It is not taken."""
        self.settled = True
        self.sending.fail(self.index, failure)
