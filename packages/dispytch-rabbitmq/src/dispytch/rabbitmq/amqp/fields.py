"""Values in a field table: read as bytes of text, written with the type that they have.

Reading never decodes more than it must: a long string stays the bytes it is. What is no string
becomes the text that a person would write for it (``true``, ``42``, seconds since the epoch, JSON
for a table), as headers are bytes for everyone else.
"""

import json
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias

HeaderValue: TypeAlias = str | int | float | bool
"""What a header may hold when its type on the wire matters."""

_LENGTH = struct.Struct(">I")
_NUMBERS: dict[int, struct.Struct] = {
    ord("b"): struct.Struct(">b"),
    ord("B"): struct.Struct(">B"),
    ord("s"): struct.Struct(">h"),
    ord("u"): struct.Struct(">H"),
    ord("I"): struct.Struct(">i"),
    ord("i"): struct.Struct(">I"),
    ord("l"): struct.Struct(">q"),
    ord("L"): struct.Struct(">q"),
    ord("T"): struct.Struct(">Q"),
    ord("f"): struct.Struct(">f"),
    ord("d"): struct.Struct(">d"),
}
_BOOL, _STRING, _BYTES, _VOID, _DECIMAL = (ord(letter) for letter in "tSxVD")
_ARRAY, _TABLE = ord("A"), ord("F")


def read_table(table: bytes) -> Iterator[tuple[str, bytes]]:
    """The names and values of a table, in its order; an array gives its name once per element.

    Raises, after what could be read:
        ValueError: the rest is no table.
    """
    for name, kind, start, end in _fields(table, named=True):
        if kind == _ARRAY:
            for _, inner, first, last in _fields(table[start:end], named=False):
                yield name, _text(table[start:end], inner, first, last)
        else:
            yield name, _text(table, kind, start, end)


def write_table(fields: dict[str, list[bytes | HeaderValue]]) -> bytes:
    """A table without its length: one value as it is, several as an array.

    Raises:
        ValueError: a name is longer than 255 bytes, or a number needs more than 64 bits.
    """
    parts: list[bytes] = []
    for name, values in fields.items():
        encoded = name.encode()
        if len(encoded) > 255:
            raise ValueError(f"header name {name[:40]!r}... is longer than 255 bytes")
        written = [_written(name, value) for value in values]
        parts += (len(encoded).to_bytes(), encoded)
        parts += written if len(written) == 1 else (b"A", *_sized(b"".join(written)))
    return b"".join(parts)


def _written(name: str, value: bytes | HeaderValue) -> bytes:
    match value:
        case bytes():
            return b"".join((b"S" if _is_text(value) else b"x", *_sized(value)))
        case bool():
            return b"t\x01" if value else b"t\x00"
        case int():
            if not -(2**63) <= value < 2**63:
                raise ValueError(f"header {name!r} does not fit into 64 bits")
            return struct.pack(">cq", b"l", value)
        case float():
            return struct.pack(">cd", b"d", value)
        case str():
            return b"".join((b"S", *_sized(value.encode())))


def _sized(data: bytes) -> tuple[bytes, bytes]:
    return _LENGTH.pack(len(data)), data


def _is_text(value: bytes) -> bool:
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fields(data: bytes, *, named: bool) -> Iterator[tuple[str, int, int, int]]:
    """Name, type, start and end of each value in a table, or in an array, whose names are empty."""
    position, length, name = 0, len(data), ""
    while position < length:
        if named:
            end = position + 1 + data[position]
            name = data[position + 1 : end].decode("utf-8", "replace")
            position = end
        if position >= length:
            raise ValueError(f"the value of {name!r} is missing")
        kind = data[position]
        start, end = _extent(data, kind, position + 1)
        if end > length:
            raise ValueError(f"the value of {name!r} is cut off")
        yield name, kind, start, end
        position = end


def _extent(data: bytes, kind: int, start: int) -> tuple[int, int]:
    if kind in (_STRING, _BYTES, _ARRAY, _TABLE):
        if start + 4 > len(data):
            raise ValueError("a length is cut off")
        size: int = _LENGTH.unpack_from(data, start)[0]
        return start + 4, start + 4 + size
    if kind in _NUMBERS:
        return start, start + _NUMBERS[kind].size
    fixed = {_BOOL: 1, _VOID: 0, 0: 0, _DECIMAL: 5}
    if kind not in fixed:
        raise ValueError(f"unknown field type {chr(kind)!r}")
    return start, start + fixed[kind]


def _text(data: bytes, kind: int, start: int, end: int) -> bytes:
    if kind in (_STRING, _BYTES):
        return data[start:end]
    value = _value(data, kind, start, end)
    return value.encode() if isinstance(value, str) else json.dumps(value, default=str).encode()


def _value(data: bytes, kind: int, start: int, end: int) -> Any:
    if kind in _NUMBERS:
        return _NUMBERS[kind].unpack_from(data, start)[0]
    read: Callable[[bytes], Any] = _READERS.get(kind, lambda _: "")
    return read(data[start:end])


def _table_value(table: bytes) -> dict[str, Any]:
    return {name: _value(table, kind, a, b) for name, kind, a, b in _fields(table, named=True)}


def _array_value(array: bytes) -> list[Any]:
    return [_value(array, kind, a, b) for _, kind, a, b in _fields(array, named=False)]


def _decimal_value(data: bytes) -> str:
    return str(Decimal(int.from_bytes(data[1:], signed=True)).scaleb(-data[0]))


_READERS: dict[int, Callable[[bytes], Any]] = {
    _BOOL: lambda data: data != b"\x00",
    _STRING: lambda data: data.decode("utf-8", "replace"),
    _BYTES: lambda data: data.decode("utf-8", "replace"),
    _DECIMAL: _decimal_value,
    _ARRAY: _array_value,
    _TABLE: _table_value,
}
