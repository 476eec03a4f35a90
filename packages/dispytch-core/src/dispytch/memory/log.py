"""The log of one partition."""

from typing import NamedTuple

from dispytch.messages import Headers


class Record(NamedTuple):
    """A message as the log keeps it: nothing in it can be changed."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


class PartitionLog:
    """Records at consecutive positions, at most ``retention`` of them.

    The oldest one is at ``start``; the next one will be at ``end``.
    """

    def __init__(self, retention: int) -> None:
        self._retention = retention
        self._ring: list[Record] = []
        self.start: int = 0
        self.end: int = 0

    @property
    def full(self) -> bool:
        """Whether the oldest record must be discarded before another fits in."""
        return self.end - self.start == self._retention

    def append(self, record: Record) -> None:
        """Add a record at the end. There must be room."""
        if self.end < self._retention:
            self._ring.append(record)
        else:
            self._ring[self.end % self._retention] = record
        self.end += 1

    def discard_oldest(self) -> None:
        """Make room for one record; the oldest can't be read any more."""
        self.start += 1

    def read(self, position: int, limit: int) -> list[Record]:
        """Up to ``limit`` records from ``position``, which lies between start and end."""
        first = position % self._retention
        last = first + min(limit, self.end - position)
        if last <= self._retention:
            return self._ring[first:last]
        return self._ring[first:] + self._ring[: last - self._retention]
