"""Reading records one by one, and saying of each that cannot be read where it is and why. Pure.

The driver's own parser is many times as fast, and gives a batch up at the first thing that it does
not like, such as a header's name that is not UTF-8. Then this one reads it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dispytch.kafka.compression import Unreadable

MAX_HEADERS: Final = 10_000
_MAX_VARINT_BITS: Final = 63

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(slots=True)
class PlainRecord:
    """A record; what the driver's own have, too. A timestamp of -1 stands for none."""

    offset: int
    timestamp: int = -1
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()


@dataclass(slots=True)
class BrokenRecord(PlainRecord):
    """What cannot be read, at the last offset that it takes up, with what could be read of it."""

    reason: str = field(kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """What the records of a batch have in common.

    base: the offset of the first one. last: the largest that any of them can have.
    time: what is added to the timestamp of each, or stands for all of them if ``is_append_time``.
    """

    base: int
    last: int
    count: int
    time: int
    is_append_time: bool = False


class Bytes:
    """Bytes that are read from the front, and never beyond their end."""

    __slots__ = ("_end", "_given", "_place")

    def __init__(self, given: memoryview) -> None:
        self._given = given
        self._place = 0
        self._end = len(given)

    @property
    def left(self) -> int:
        """How many are left."""
        return self._end - self._place

    def take(self, size: int) -> memoryview:
        """The next ones."""
        if not 0 <= size <= self.left:
            raise Unreadable(f"{size} bytes are announced where {self.left} are left")
        taken = self._given[self._place : self._place + size]
        self._place += size
        return taken

    def nullable(self) -> bytes | None:
        """So many as a number before them says; None if that is negative."""
        size = self.number()
        return None if size < 0 else bytes(self.take(size))

    def number(self) -> int:
        """A number of variable length, zigzag."""
        found = shift = 0
        while True:
            (byte,) = self.take(1)
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (found >> 1) ^ -(found & 1)
            shift += 7
            if shift > _MAX_VARINT_BITS:
                raise Unreadable("a number is longer than 64 bits")


def read_records(given: memoryview, within: Within) -> Iterator[PlainRecord]:
    """The records of a batch, in ascending order of their offsets; broken ones among them.

    Each record says how long it is, so what follows a broken one can be read. Once that is wrong
    as well, all that is left of the batch is broken.
    """
    rest, reached = Bytes(given), within.base - 1
    for index in range(within.count):
        try:
            inner = Bytes(rest.take(rest.number()))
        except Unreadable as error:
            reason = f"from the record {index + 1} of {within.count} in its batch on: {error}"
            yield BrokenRecord(within.last, reason=reason)
            return
        record = _read(inner, within, reached + 1)
        if record.offset > within.last:
            return
        reached = record.offset
        yield record
    if rest.left and reached < within.last:
        reason = f"{rest.left} bytes follow the last of the {within.count} records of its batch"
        yield BrokenRecord(within.last, reason=reason)


def _read(inner: Bytes, within: Within, following: int) -> PlainRecord:
    """One record; if it does not say at which offset it is, then at the one that follows."""
    record = PlainRecord(following)
    try:
        inner.take(1)
        time = inner.number()
        record.timestamp = within.time if within.is_append_time else within.time + time
        offset = within.base + inner.number()
        if not following <= offset <= within.last:
            raise Unreadable(f"it claims the offset {offset}")
        record.offset = offset
        record.key = inner.nullable()
        record.value = inner.nullable()
        record.headers = _headers(inner)
        if inner.left:
            raise Unreadable(f"{inner.left} bytes follow its headers")
    except Unreadable as error:
        return BrokenRecord(
            record.offset, record.timestamp, record.key, record.value, reason=str(error)
        )
    return record


def _headers(inner: Bytes) -> Headers:
    count = inner.number()
    if not 0 <= count <= MAX_HEADERS:
        raise Unreadable(f"it has {count} headers, where {MAX_HEADERS} are allowed")
    return tuple([(_name(inner), inner.nullable()) for _ in range(count)])


def _name(inner: Bytes) -> str:
    """What is no UTF-8 is kept, byte for byte, as Python keeps it in the names of files."""
    return bytes(inner.take(inner.number())).decode("utf-8", "surrogateescape")
