"""Numbers of varying length, and the place of a message in its Protobuf schema, made of them.

Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from collections.abc import Sequence
from typing import Final

from dispytch.exceptions import DecodeError

_LONGEST: Final = 10
"""Bytes of a number of 64 bits."""


def written_indexes(path: Sequence[int]) -> bytes:
    """The indexes that lead to a message, counted first; the first message of all is one zero."""
    if list(path) == [0]:
        return b"\0"
    return b"".join(map(written_number, (len(path), *path)))


def read_indexes(data: bytes) -> int:
    """How many bytes the indexes take at the beginning of a body.

    Raises:
        DecodeError: the body ends before they do, or they make no sense.
    """
    count, position = _read(data, 0)
    if count < 0 or count > len(data):
        raise DecodeError(f"a Protobuf body begins with {count} message indexes")
    for _ in range(count):
        _, position = _read(data, position)
    return position


def written_number(number: int) -> bytes:
    """A number as Avro and Confluent's indexes have it: zigzag, seven bits to a byte."""
    zigzag = (number << 1) ^ (number >> 63)
    data = bytearray()
    while zigzag > 0x7F:
        data.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    data.append(zigzag)
    return bytes(data)


def _read(data: bytes, position: int) -> tuple[int, int]:
    zigzag = 0
    for step in range(_LONGEST):
        if position >= len(data):
            raise DecodeError("a Protobuf body ends within its message indexes")
        byte = data[position]
        position += 1
        zigzag |= (byte & 0x7F) << (7 * step)
        if byte < 0x80:
            return (zigzag >> 1) ^ -(zigzag & 1), position
    raise DecodeError("a message index of a Protobuf body is longer than 64 bits")
