"""Records of Kafka as batches, through the driver and the package's own reading of them."""

import struct
from collections.abc import Sequence
from typing import Final

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from dispytch.kafka.lease import KafkaLease
from fuzzing import message
from fuzzing.target import Finding, Target
from fuzzing.targets.envelopes import binary
from fuzzing.targets.shapes import ORDER

_PARTITION: Final = TopicPartition("orders", 0)


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


def batch(records: Sequence[bytes], *, attributes: int = 0, timestamp: int = 0) -> bytes:
    """A record batch of version 2; nobody checks its checksum here."""
    body = b"".join(varint(len(one)) + one for one in records)
    last = len(records) - 1
    times, producer = (timestamp, timestamp), (-1, -1, -1)
    head = struct.pack(">hiqqqhii", attributes, last, *times, *producer, len(records))
    rest = struct.pack(">ibI", 0, 2, 0) + head + body
    return struct.pack(">qi", 0, len(rest)) + rest


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
    lease = KafkaLease.on(_PARTITION)
    records = PartitionRecords(
        _PARTITION, MemoryRecords(data), [], 0, None, None, False, READ_COMMITTED
    )
    found = list(records)
    if found:
        lease.store(found)
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
    if taken[0].value != given.value or [value for _, value in taken[0].headers] != [
        value for _, value in headers
    ]:
        raise Finding("a record is not what it was")


def _anything(data: bytes) -> None:
    """What no sane broker hands out: the driver may refuse it, but not hang or take all memory."""
    try:
        _read(data)
    except MemoryError:
        raise
    except Exception:
        return


_LEGAL_SEEDS: Final = (
    struct.pack(">q", 1_700_000_000_000) + binary("ce_", "@key: 7"),
    struct.pack(">q", -1) + b"\xff\xfe: 1\n\n" + ORDER,
    struct.pack(">q", 2**62) + b"a\nb: c\n\n",
)
_RAW_SEEDS: Final = (
    batch([record(b"k", ORDER, [(b"a", b"b"), (b"\xff", None)], 0)], timestamp=1_700_000_000_000),
    batch([record(None, None, [], number) for number in range(3)], attributes=8),
    batch([b"\x1f\x8b\x08\x00"], attributes=1),
    batch([b""], attributes=4),
    batch([b"\x00"], attributes=0x30),
)

KAFKA: Final = (
    Target("kafka-records", _legal, _LEGAL_SEEDS, (b"\n\xff: ", b"\n@key: ")),
    Target("kafka-bytes", _anything, _RAW_SEEDS, (b"\xff\xff\xff\xff\x0f",)),
)
