"""A stream in a consumer's hands."""

from collections.abc import Callable

from dispytch.memory.cursor import Cursor
from dispytch.memory.topic import Stream
from dispytch.messages import Delivery, Lease


class Holding:
    """A stream from its assignment to its end, under one lease.

    ``queued`` is for its consumer: whether it stands in the queue of those with something to
    hand out.
    """

    __slots__ = ("_stream", "cursor", "lease", "paused", "queued", "revoked")

    def __init__(self, stream: Stream) -> None:
        self.lease: Lease = Lease(stream.topic, stream.name)
        self.cursor: Cursor = stream.cursor
        self.paused: bool = False
        self.revoked: bool = False
        self.queued: bool = False
        self._stream = stream

    def watch(self, arrived: Callable[["Holding"], None]) -> None:
        """Have ``arrived`` called with this holding whenever the stream grows."""
        self._stream.arrived = lambda: arrived(self)

    def ready(self, window: int) -> bool:
        """Whether it has something to hand out, within a window of that many in flight."""
        return (
            self.cursor.has_waiting
            and self.cursor.in_flight < window
            and not (self.paused or self.revoked)
        )

    def take(self, limit: int) -> list[Delivery]:
        """The next deliveries, at most ``limit`` and at least one when `ready`.

        Each is an object of its own, so that no handler can reach into the log.
        """
        lease = self.lease
        topic = lease.topic
        return [
            Delivery(topic, value, key, headers, lease, position, timestamp)
            for position, (key, value, headers, timestamp) in self.cursor.take(limit)
        ]
