"""Reading what was fetched of a partition: batches of records, whatever is in them.

The driver's own way gives everything up at the first batch that it cannot read, and would fetch it
again for ever; and it unpacks a batch however large that becomes. Here, what cannot be read is
handed out as a broken record, at its place among the others.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dispytch.kafka.compression import Unreadable, unpacked
from dispytch.kafka.driver import fast_records, is_intact
from dispytch.kafka.driver_types import Record
from dispytch.kafka.legacy import read_message
from dispytch.kafka.records import BrokenRecord, Within, read_records

_FRAME: Final = struct.Struct(">qi")
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_ATTRIBUTES: Final = struct.Struct(">h")
_ATTRIBUTES_AT: Final = 21
_MAGIC_AT: Final = 16
_LEGACY_LEAST: Final = 26
_MAGIC: Final = 2
_CODEC, _APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_CONTROL_TYPE: Final = slice(2, 4)
_ABORT: Final = b"\x00\x00"
_BIG: Final = 1_048_576

Broken = Callable[[int, str], None]
"""Told of the offset of a record that cannot be read, and of the reason."""

Aborted = Sequence[tuple[int, int]]
"""Transactions that were aborted: the producer's id, and the offset of the first record."""

GiveUp = Callable[[int, str], bool]
"""Asked, with the reason, whether to pass over a place where bytes have changed on their way.

If not, nothing from there on is read, and it is fetched again."""


class Damaged(Unreadable):
    """The bytes are not those that were written: another fetch may bring those."""


@dataclass(frozen=True, slots=True)
class _Batch:
    raw: memoryview
    base: int
    last: int
    magic: int
    attributes: int = 0
    first_time: int = -1
    max_time: int = -1
    producer: int = -1
    count: int = 0

    @classmethod
    def of(cls, raw: memoryview) -> "_Batch":
        base, _ = _FRAME.unpack_from(raw)
        if raw[_MAGIC_AT] < _MAGIC:
            return cls(raw, base, base, raw[_MAGIC_AT])
        if len(raw) < _HEADER.size:
            raise Damaged(f"a batch of {len(raw)} bytes is too short")
        _, _, _, magic, _, attributes, delta, first, largest, producer, _, _, count = (
            _HEADER.unpack_from(raw)
        )
        last = base + max(0, delta)
        return cls(raw, base, last, magic, attributes, first, largest, producer, count)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & _CONTROL)

    @property
    def credible_last(self) -> int:
        """The last offset, if two numbers in the header agree on it; else the first."""
        return self.last if self.last - self.base + 1 == self.count else self.base

    @property
    def within(self) -> Within:
        is_append_time = bool(self.attributes & _APPEND_TIME)
        return Within(
            base=self.base,
            last=self.last,
            count=self.count,
            time=self.max_time if is_append_time else self.first_time,
            is_append_time=is_append_time,
        )

    def plain(self, limit: int) -> memoryview:
        """The same batch without compression.

        Raises:
            Unreadable: it cannot be unpacked, or not into so many bytes.
        """
        if not self.attributes & _CODEC:
            return self.raw
        content = unpacked(self.attributes & _CODEC, self.raw[_HEADER.size :], limit)
        found = bytearray(_HEADER.size + len(content))
        found[: _HEADER.size] = self.raw[: _HEADER.size]
        found[_HEADER.size :] = content
        _ATTRIBUTES.pack_into(found, _ATTRIBUTES_AT, self.attributes & ~_CODEC)
        return memoryview(found)


class Fetched:
    """The records of what was fetched, in the order of their offsets; reads as it is iterated.

    offset: from where on it was fetched. limit: how many bytes a batch may hold.
    next_fetch_offset: from where on to fetch after the last record that was taken from here.
    """

    def __init__(
        self,
        chunk: bytes,
        *,
        offset: int,
        aborted: Aborted,
        limit: int,
        give_up: GiveUp,
        broken: Broken,
    ) -> None:
        self.next_fetch_offset: int = offset
        self._chunk = memoryview(chunk)
        self._limit = limit
        self._give_up = give_up
        self._broken = broken
        self._open = sorted(aborted, key=lambda one: one[1])
        self._aborting: set[int] = set()
        self._is_over = False
        self._records = self._read()

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def _read(self) -> Iterator[Record]:
        try:
            for raw, following in self._frames():
                yield from self._read_batch(_Batch.of(raw), following)
                if self._is_over:
                    return
        except Damaged as error:
            yield from self._pass_over(self.next_fetch_offset, str(error))

    def _read_batch(self, batch: _Batch, following: int | None) -> Iterator[Record]:
        try:
            for record in self._records_of(batch):
                # A batch may begin before what was asked for.
                if record.offset >= self.next_fetch_offset:
                    self.next_fetch_offset = record.offset + 1
                    yield record
            self.next_fetch_offset = max(self.next_fetch_offset, batch.last + 1)
        except Damaged as error:
            last = batch.credible_last if following is None else following - 1
            yield from self._pass_over(max(self.next_fetch_offset, last), str(error))

    def _pass_over(self, last: int, reason: str) -> Iterator[Record]:
        self._is_over = not self._give_up(self.next_fetch_offset, reason)
        if not self._is_over:
            yield from self._told([BrokenRecord(last, reason=reason)])
            self.next_fetch_offset = last + 1

    def _frames(self) -> Iterator[tuple[memoryview, int | None]]:
        """The bytes of each batch, and the offset where the next one begins, if it is here."""
        place, end = 0, len(self._chunk)
        while end - place >= _FRAME.size:
            _, size = _FRAME.unpack_from(self._chunk, place)
            following = place + _FRAME.size + size
            if following - place < _LEGACY_LEAST:
                raise Damaged(f"a batch of {size} bytes is too short")
            if following > end:
                break
            is_last = end - following < _FRAME.size
            begins = None if is_last else _FRAME.unpack_from(self._chunk, following)[0]
            yield self._chunk[place:following], begins
            place = following
        if place == 0 and end:
            raise Damaged(f"the broker has sent {end} bytes, and no whole batch")

    def _records_of(self, batch: _Batch) -> Iterable[Record]:
        if batch.magic < _MAGIC:
            return self._or_broken(batch, read_message(batch.raw, self._limit))
        if batch.magic > _MAGIC:
            reason = f"its format is {batch.magic}, which this version does not know"
            return self._told([BrokenRecord(batch.last, reason=reason)])
        if not is_intact(batch.raw):
            raise Damaged(f"the checksum of the batch from {batch.base} to {batch.last} is wrong")
        if self._is_not_for_readers(batch):
            return ()
        return self._or_broken(batch, self._unpacked(batch))

    def _unpacked(self, batch: _Batch) -> Iterator[Record]:
        plain = batch.plain(self._limit)
        if not _has_big_record(plain, batch.count):
            try:
                yield from _in_order(fast_records(plain), batch)
                return
            except Exception:
                # The driver refuses it, for whatever reason.
                pass
        # What was handed out before that is skipped by its offsets.
        yield from self._told(read_records(plain[_HEADER.size :], batch.within))

    def _or_broken(self, batch: _Batch, records: Iterator[Record]) -> Iterator[Record]:
        try:
            yield from records
        except Unreadable as error:
            reason = f"the batch from {batch.base} to {batch.last} cannot be read: {error}"
            yield from self._told([BrokenRecord(batch.last, reason=reason)])

    def _told(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            if isinstance(record, BrokenRecord) and record.offset >= self.next_fetch_offset:
                self._broken(record.offset, record.reason)
            yield record

    def _is_not_for_readers(self, batch: _Batch) -> bool:
        """Whether it is a marker, or belongs to a transaction that was aborted."""
        while self._open and self._open[0][1] <= batch.base:
            self._aborting.add(self._open.pop(0)[0])
        if batch.is_control:
            if _ends_aborted(batch):
                self._aborting.discard(batch.producer)
            return True
        return bool(batch.attributes & _TRANSACTIONAL) and batch.producer in self._aborting


def _in_order(records: Iterable[Record], batch: _Batch) -> Iterator[Record]:
    """The records, as long as each is where it may be."""
    reached, last = batch.base - 1, batch.last
    for record in records:
        if not reached < record.offset <= last:
            raise Unreadable(f"a record claims the offset {record.offset}")
        reached = record.offset
        yield record


def _ends_aborted(batch: _Batch) -> bool:
    """Whether it marks the end of an aborted transaction; there are other markers, too."""
    for record in read_records(batch.raw[_HEADER.size :], batch.within):
        return (record.key or b"")[_CONTROL_TYPE] == _ABORT
    return False


def _has_big_record(plain: memoryview, count: int) -> bool:
    """Whether a record is so large that the number of its headers has to be looked at first."""
    if len(plain) < _BIG:
        return False
    place, end = _HEADER.size, len(plain)
    for _ in range(count):
        size = shift = 0
        while place < end:
            byte = plain[place]
            place += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        place += size >> 1
        if size >> 1 >= _BIG or size & 1 or place > end:
            return True
    return False
