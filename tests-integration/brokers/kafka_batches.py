"""Batches of records as bytes, good ones and others, for tests."""

import struct
from collections.abc import Sequence
from typing import Any

from aiokafka import codec  # type: ignore[import-untyped,unused-ignore]
from aiokafka.record.util import (  # type: ignore[import-untyped,unused-ignore]
    calc_crc32c,
    encode_varint,
)

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
PACK = {
    GZIP: codec.gzip_encode,
    SNAPPY: codec.snappy_encode,
    LZ4: codec.lz4_encode,
    ZSTD: codec.zstd_encode,
}
_HEADER = struct.Struct(">hiqqqhii")

RawHeaders = Sequence[tuple[bytes, bytes | None]]


def number(value: int) -> bytes:
    """Of variable length, zigzag."""
    found = bytearray()
    encode_varint(value, found.append)
    return bytes(found)


def nullable(value: bytes | None) -> bytes:
    """With its length before it."""
    return number(-1) if value is None else number(len(value)) + value


def record(
    delta: int,
    value: bytes | None = b"value",
    *,
    key: bytes | None = b"key",
    headers: RawHeaders = (),
    count: int | None = None,
    tail: bytes = b"",
) -> bytes:
    """One record; ``count`` is the number of headers that it claims to have."""
    body = b"\x00" + number(delta) + number(delta) + nullable(key) + nullable(value)
    body += number(len(headers) if count is None else count)
    body += b"".join(nullable(name) + nullable(content) for name, content in headers)
    return nullable(body + tail)


def batch(
    *records: bytes,
    base: int = 0,
    packed: int = 0,
    attributes: int = 0,
    count: int | None = None,
    delta: int | None = None,
    producer: int = -1,
    magic: int = 2,
    intact: bool = True,
    payload: bytes | None = None,
) -> bytes:
    """A batch; ``payload`` stands in the place of the records, as it is."""
    content = b"".join(records)
    if payload is not None:
        content = payload
    elif packed:
        content = bytes(PACK[packed](content))
    number_of = len(records) if count is None else count
    checked = _HEADER.pack(
        attributes | packed,
        number_of - 1 if delta is None else delta,
        1000,
        2000,
        producer,
        -1,
        -1,
        number_of,
    )
    checked += content
    crc = calc_crc32c(checked) ^ (0 if intact else 1)
    after = struct.pack(">ibI", 0, magic, crc) + checked
    return struct.pack(">qi", base, len(after)) + after


def marker(kind: int, *, base: int, producer: int, version: int = 0) -> bytes:
    """The end of a transaction: 0 aborted, 1 committed."""
    key = struct.pack(">hh", version, kind)
    body = b"\x00" + number(0) + number(0) + nullable(key) + nullable(b"") + number(0)
    return batch(nullable(body), base=base, attributes=CONTROL | TRANSACTIONAL, producer=producer)


def some(count: int, **more: Any) -> list[bytes]:
    """So many good records."""
    return [record(index, b"%d" % index, **more) for index in range(count)]
