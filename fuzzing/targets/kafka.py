"""Records of Kafka as batches, through the package's own reading of them."""

import gzip
import struct
from collections.abc import Sequence
from typing import Final

import cramjam
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from dispytch.kafka.batches import Fetched
from dispytch.kafka.lease import KafkaLease
from fuzzing import message
from fuzzing.target import Finding, Target
from fuzzing.targets.envelopes import binary
from fuzzing.targets.shapes import ORDER

_PARTITION: Final = TopicPartition("orders", 0)
_LIMIT: Final = 1_000_000
_HEAD: Final = 12
_MAGIC_AT: Final = 16
_CRC_AT: Final = 17
_CHECKED_FROM: Final = 21


def varint(number: int) -> bytes:
    """A number as record batches have it: zigzag, seven bits at a time."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left >= 0x80:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def _sized(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def batch(
    records: Sequence[bytes], *, attributes: int = 0, timestamp: int = 0, packed: bytes = b""
) -> bytes:
    """A record batch of version 2; ``packed`` stands in the place of the records."""
    body = packed or b"".join(varint(len(one)) + one for one in records)
    last = len(records) - 1
    times, producer = (timestamp, timestamp), (-1, -1, -1)
    head = struct.pack(">hiqqqhii", attributes, last, *times, *producer, len(records))
    rest = struct.pack(">ibI", 0, 2, 0) + head + body
    return struct.pack(">qi", 0, len(rest)) + rest


def _with_checksums(chunk: bytes) -> bytes:
    """The same, with every batch as its producer would have signed it."""
    found, at = bytearray(chunk), 0
    while at + _CHECKED_FROM <= len(found):
        (size,) = struct.unpack_from(">i", found, at + 8)
        end = at + _HEAD + size
        if size <= 0 or end > len(found):
            break
        if found[at + _MAGIC_AT] == 2:
            checksum = calc_crc32c(bytes(found[at + _CHECKED_FROM : end]))
            struct.pack_into(">I", found, at + _CRC_AT, checksum)
        at = end
    return bytes(found)


def record(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[bytes, bytes | None]],
    number: int,
) -> bytes:
    """One record of a batch. A name may be any bytes: no broker looks at it."""
    named = b"".join(varint(len(name)) + name + _sized(content) for name, content in headers)
    return (
        b"\x00"
        + varint(0)
        + varint(number)
        + _sized(key)
        + _sized(value)
        + varint(len(headers))
        + named
    )


def _read(data: bytes) -> KafkaLease:
    """What a lease makes of what was fetched; nothing in it may raise or be read twice."""
    lease, told = KafkaLease.on(_PARTITION), list[int]()
    fetched = Fetched(
        _with_checksums(data),
        offset=0,
        aborted=[],
        limit=_LIMIT,
        give_up=lambda offset, reason: True,
        broken=lambda offset, reason: told.append(offset),
    )
    records = list(fetched)
    offsets = [record.offset for record in records]
    if offsets != sorted(set(offsets)) or any(offset < 0 for offset in offsets):
        raise Finding("offsets that do not grow")
    if offsets and fetched.next_fetch_offset <= offsets[-1]:
        raise Finding("the next fetch would bring the same again")
    if records:
        lease.store(records)
    return lease


def _legal(data: bytes) -> None:
    """What any broker takes: a message, with a timestamp of eight bytes before it."""
    (timestamp,) = struct.unpack(">q", data[:8].rjust(8, b"\x00"))
    given = message.read(data[8:])
    headers = [(name.encode("utf-8", "surrogateescape"), value) for name, value in given.headers]
    made = batch([record(given.key, given.value, headers, 0)], timestamp=timestamp)
    taken = _read(made).take(10)
    if len(taken) != 1:
        raise Finding("a record is not handed out")
    if taken[0].value != given.value or list(taken[0].headers) != list(given.headers):
        raise Finding("a record is not what it was")


def _anything(data: bytes) -> None:
    """What no sane broker hands out."""
    _read(data)


_LEGAL_SEEDS: Final = (
    struct.pack(">q", 1_700_000_000_000) + binary("ce_", "@key: 7"),
    struct.pack(">q", -1) + b"\xff\xfe: 1\n\n" + ORDER,
    struct.pack(">q", 2**62) + b"a\nb: c\n\n",
)
_PLAIN: Final = record(b"k", ORDER, [(b"a", b"b"), (b"\xff", None)], 0)
_SIZED: Final = varint(len(_PLAIN)) + _PLAIN
_RAW_SEEDS: Final = (
    batch([_PLAIN], timestamp=1_700_000_000_000),
    batch([record(None, None, [], number) for number in range(3)], attributes=8),
    batch([_PLAIN], attributes=1, packed=gzip.compress(_SIZED)),
    batch([_PLAIN], attributes=1, packed=gzip.compress(bytes(3_000_000))),
    batch([_PLAIN], attributes=2, packed=bytes(cramjam.snappy.compress_raw(_SIZED))),
    batch([_PLAIN], attributes=3, packed=bytes(cramjam.lz4.compress(_SIZED))),
    batch([_PLAIN], attributes=4, packed=bytes(cramjam.zstd.compress(_SIZED))),
    batch([_PLAIN], attributes=4, packed=bytes(cramjam.zstd.compress(bytes(3_000_000)))),
    batch([b""], attributes=4),
    batch([b"\x00"], attributes=0x30),
    batch([_PLAIN]).replace(b"\x02\x00\x00\x00\x00", b"\x01\x00\x00\x00\x00", 1),
)

TARGETS: Final = (
    Target("kafka-records", _legal, _LEGAL_SEEDS, (b"\n\xff: ", b"\n@key: ")),
    Target("kafka-bytes", _anything, _RAW_SEEDS, (b"\xff\xff\xff\xff\x0f",), weight=2),
)
