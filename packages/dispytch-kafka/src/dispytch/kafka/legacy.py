"""Reading messages in the formats that Kafka had before version 0.11. Pure."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dispytch.kafka.compression import Unreadable, unpacked
from dispytch.kafka.records import Bytes, PlainRecord

_FRAME: Final = struct.Struct(">qi")
_HEAD: Final = struct.Struct(">IbB")
_TIME: Final = struct.Struct(">q")
_SIZE: Final = struct.Struct(">i")
_CODEC: Final = 0x07
_APPEND_TIME: Final = 0x08
_LZ4: Final = 3
_CHECKED_FROM: Final = _FRAME.size + 4


@dataclass(slots=True)
class _Message:
    record: PlainRecord
    magic: int
    attributes: int

    @property
    def codec(self) -> int:
        return self.attributes & _CODEC


def read_message(given: memoryview, limit: int) -> Iterator[PlainRecord]:
    """The records of one message: itself, or those that are packed into it.

    limit: how many bytes it may hold.

    Raises:
        Unreadable: it cannot be read.
    """
    outer = _read(given)
    if not outer.codec:
        yield outer.record
        return
    inner = _unpack(outer, limit)
    # From format 1 on, the inner offsets are relative, and the outer one is that of the last.
    shift = outer.record.offset - inner[-1].offset if inner and outer.magic else 0
    for record in inner:
        record.offset += shift
        if outer.magic and outer.attributes & _APPEND_TIME:
            record.timestamp = outer.record.timestamp
        yield record


def _unpack(outer: _Message, limit: int) -> list[PlainRecord]:
    if outer.record.value is None:
        raise Unreadable("it claims to hold others, and has no value")
    if outer.codec == _LZ4 and not outer.magic:
        raise Unreadable("its lz4 is that of Kafka 0.8, which nobody reads any more")
    packed = memoryview(outer.record.value)
    found = [_read(one) for one in _frames(memoryview(unpacked(outer.codec, packed, limit)))]
    if any(message.codec for message in found):
        raise Unreadable("it holds a message that holds others")
    return [message.record for message in found]


def _frames(given: memoryview) -> Iterator[memoryview]:
    rest = Bytes(given)
    while rest.left:
        frame = bytes(rest.take(_FRAME.size))
        _, size = _FRAME.unpack(frame)
        yield memoryview(frame + bytes(rest.take(size)))


def _read(given: memoryview) -> _Message:
    rest = Bytes(given)
    offset, _ = _FRAME.unpack(rest.take(_FRAME.size))
    checksum, magic, attributes = _HEAD.unpack(rest.take(_HEAD.size))
    if checksum != zlib.crc32(given[_CHECKED_FROM:]):
        raise Unreadable("its checksum is wrong")
    (time,) = _TIME.unpack(rest.take(_TIME.size)) if magic else (-1,)
    return _Message(PlainRecord(offset, time, _nullable(rest), _nullable(rest)), magic, attributes)


def _nullable(rest: Bytes) -> bytes | None:
    (size,) = _SIZE.unpack(rest.take(_SIZE.size))
    return None if size < 0 else bytes(rest.take(size))
