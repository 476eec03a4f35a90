"""Unpacking what a batch of records was compressed with, never into more than is allowed."""

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import cramjam

_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
_NAMES: Final[Mapping[int, str]] = {_GZIP: "gzip", _SNAPPY: "snappy", _LZ4: "lz4", _ZSTD: "zstd"}
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = 16
_SIZE: Final = struct.Struct(">i")
_GZIP_MEMBERS_MAX: Final = 100
"""Producers write one; what follows one is copied each time, so many take their square."""

_FIRST_GUESS: Final = 65_536
_USUAL_RATIO: Final = 8
_UNTOUCHED: Final = os.urandom(16)
"""Stands at the end of a buffer, and tells whether the buffer was filled."""


class Unreadable(Exception):
    """Bytes in a partition that are no records; the text says why."""


class _Into(Protocol):
    """As ``cramjam.zstd.decompress_into``: how many bytes it wrote, or an error."""

    def __call__(self, input: bytes, output: memoryview, /) -> int: ...


def unpacked(codec: int, packed: memoryview, limit: int) -> bytes | bytearray:
    """What these bytes hold, of at most ``limit`` bytes; nothing larger is ever in memory.

    codec: as in the attributes of a batch.

    Raises:
        Unreadable: a codec that Kafka does not have, bytes that it has not written, or too many.
    """
    unpack = _CODECS.get(codec)
    if unpack is None:
        raise Unreadable(f"it is compressed by the codec {codec}, which Kafka does not have")
    try:
        return unpack(packed, limit)
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"it is not the {_NAMES[codec]} that it claims to be: {error}") from error


def _too_large(name: str, limit: int) -> Unreadable:
    return Unreadable(
        f"its {name} holds more than {limit} bytes; raise max_batch_bytes if it is meant to"
    )


def _gunzip(packed: memoryview, limit: int) -> bytes:
    parts: list[bytes] = []
    left, rest = limit, bytes(packed)
    while rest.rstrip(b"\x00"):
        if len(parts) == _GZIP_MEMBERS_MAX:
            raise Unreadable(
                f"its gzip has more than {_GZIP_MEMBERS_MAX} members, one after another"
            )
        member = zlib.decompressobj(wbits=31)
        parts.append(member.decompress(rest, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise _too_large("gzip", limit)
        if not member.eof:
            raise Unreadable("its gzip ends too early")
        rest = member.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unsnap(packed: memoryview, limit: int) -> bytes:
    """In blocks, as the Java client writes it, or all in one; each says how much it holds."""
    parts: list[bytes] = []
    left = limit
    for block in _snappy_blocks(bytes(packed)):
        left -= cramjam.snappy.decompress_raw_len(block)
        if left < 0:
            raise _too_large("snappy", limit)
        parts.append(bytes(cramjam.snappy.decompress_raw(block)))
    return b"".join(parts)


def _snappy_blocks(packed: bytes) -> Iterator[bytes]:
    if not packed.startswith(_XERIAL):
        yield packed
        return
    place = _XERIAL_HEADER
    while place < len(packed):
        (size,) = _SIZE.unpack_from(packed, place)
        place += _SIZE.size
        if not 0 <= size <= len(packed) - place:
            raise Unreadable(f"its snappy has a block of {size} bytes where fewer are left")
        yield packed[place : place + size]
        place += size


def _into(name: str, decompress: _Into) -> Callable[[memoryview, int], bytearray]:
    """By guesses, as neither format has to say how much it holds."""

    def unpack(packed: memoryview, limit: int) -> bytearray:
        given = bytes(packed)
        room = min(limit, max(_FIRST_GUESS, _USUAL_RATIO * len(given)))
        while True:
            found = bytearray(room)
            found[-len(_UNTOUCHED) :] = _UNTOUCHED[:room]
            try:
                size = decompress(given, memoryview(found))
            except cramjam.DecompressionError as error:
                # The library does not tell too little room from broken bytes by their types.
                if found.endswith(_UNTOUCHED[:room]):
                    raise
                if room >= limit:
                    raise _too_large(name, limit) from error
                room = min(limit, 4 * room)
            else:
                del found[size:]
                return found

    return unpack


_CODECS: Final[Mapping[int, Callable[[memoryview, int], bytes | bytearray]]] = {
    _GZIP: _gunzip,
    _SNAPPY: _unsnap,
    _LZ4: _into("lz4", cramjam.lz4.decompress_into),
    _ZSTD: _into("zstd", cramjam.zstd.decompress_into),
}
