"""The values of AMQP's field tables, read leniently: pure.

The driver refuses a message for a single value that it cannot represent, and with it the whole
connection. Here each value comes with the bytes that it was written in, so that it can be written
again as it was; what cannot be told at all is `Malformed`, and what was read before it is kept.

As the driver does, of two values of one name the last one counts. Values that it can represent are
the same here: https://www.rabbitmq.com/amqp-0-9-1-errata.html has their types.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from struct import Struct, error
from typing import Any, Final

DEEPEST: Final = 64
"""How deep arrays and tables may be nested."""

_LENGTH: Final = Struct(">I")
_DECIMAL: Final = Struct(">Bi")
_MOMENT: Final = Struct(">Q")

_SECONDS_MAX: Final = 0xFFFFFFFF
_MILLISECONDS_MAX: Final = 253_402_300_799_999
"""The last one of the year 9999."""


class Malformed(ValueError):
    """The bytes are not what AMQP says; the text says where."""


def text(raw: bytes) -> str:
    """A short string; what is not UTF-8 of it is kept as lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def moment(count: int) -> datetime | None:
    """The time that a timestamp means, in seconds, or in milliseconds where it is too large.

    None for what would then lie beyond the year 9999, as counts of micro- and nanoseconds do.
    """
    if count <= _SECONDS_MAX:
        return datetime.fromtimestamp(count, UTC)
    if count <= _MILLISECONDS_MAX:
        return datetime.fromtimestamp(count / 1000.0, UTC)
    return None


class Table:
    """A field table that is being read; ``values`` and ``wire`` have what has been read so far.

    wire: the type and the bytes of each value.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.wire: dict[str, bytes] = {}

    def read(self, data: bytes) -> None:
        """Read the entries of a table, which begin after its length.

        Raises:
            Malformed: at an entry that cannot be told.
        """
        at, end = 0, len(data)
        values, wire = self.values, self.wire
        while at < end:
            name, start = _name(data, at, end)
            # Nearly all values are strings, and each message has several.
            if data[start : start + 1] == b"S" and start + 5 <= end:
                at = start + 5 + _LENGTH.unpack_from(data, start + 1)[0]
                if at <= end:
                    values[name] = _long_string(data[start + 5 : at])
                    wire[name] = data[start:at]
                    continue
            values[name], at = _guarded(name, data, start, end)
            wire[name] = data[start:at]


def _guarded(name: str, data: bytes, start: int, end: int) -> tuple[Any, int]:
    try:
        return _value(data, start, end, 0)
    except (IndexError, error):
        raise Malformed(f"header {name!r} ends in mid-value") from None
    except Malformed as reason:
        raise Malformed(f"header {name!r}: {reason}") from None


def _name(data: bytes, at: int, end: int) -> tuple[str, int]:
    start = at + 1
    at = start + data[at]
    if at > end:
        raise Malformed("the name of a header is longer than the table")
    return text(data[start:at]), at


def _value(data: bytes, at: int, end: int, depth: int) -> tuple[Any, int]:
    kind = data[at]
    if kind in _SIZED:
        start = at + 5
        stop = start + _LENGTH.unpack_from(data, at + 1)[0]
        if stop > end:
            raise Malformed("a value is longer than what it is in")
        if kind in _NESTED:
            if depth >= DEEPEST:
                raise Malformed(f"it is nested deeper than {DEEPEST} levels")
            return _NESTED[kind](data, start, stop, depth + 1), stop
        return _SIZED[kind](data[start:stop]), stop
    reader = _FIXED.get(kind)
    if reader is None:
        raise Malformed(f"no type of AMQP's values is {bytes([kind])!r}")
    size, read = reader
    stop = at + 1 + size
    if stop > end:
        raise Malformed("a value is longer than what it is in")
    return read(data, at + 1), stop


def _array(data: bytes, at: int, end: int, depth: int) -> list[Any]:
    elements: list[Any] = []
    while at < end:
        element, at = _value(data, at, end, depth)
        elements.append(element)
    return elements


def _table(data: bytes, at: int, end: int, depth: int) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    while at < end:
        name, at = _name(data, at, end)
        entries[name], at = _value(data, at, end, depth)
    return entries


def _long_string(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _fixed(layout: str) -> tuple[int, Callable[[bytes, int], Any]]:
    struct = Struct(layout)
    return struct.size, lambda data, at: struct.unpack_from(data, at)[0]


def _boolean(data: bytes, at: int) -> bool:
    return bool(data[at])


def _decimal(data: bytes, at: int) -> Decimal:
    scale, digits = _DECIMAL.unpack_from(data, at)
    return Decimal(digits).scaleb(-scale)


def _timestamp(data: bytes, at: int) -> datetime | int:
    count: int = _MOMENT.unpack_from(data, at)[0]
    found = moment(count)
    return count if found is None else found


def _void(_data: bytes, _at: int) -> None:
    return None


_NESTED: Final[dict[int, Callable[[bytes, int, int, int], Any]]] = {
    ord("A"): _array,
    ord("F"): _table,
}
_SIZED: Final[dict[int, Callable[[bytes], Any]]] = {
    ord("A"): bytes,
    ord("F"): bytes,
    ord("S"): _long_string,
    ord("x"): bytearray,
}
_FIXED: Final[dict[int, tuple[int, Callable[[bytes, int], Any]]]] = {
    ord("t"): (1, _boolean),
    ord("b"): _fixed(">b"),
    ord("B"): _fixed(">B"),
    ord("s"): _fixed(">h"),
    ord("u"): _fixed(">H"),
    ord("I"): _fixed(">i"),
    ord("i"): _fixed(">I"),
    ord("l"): _fixed(">q"),
    ord("L"): _fixed(">q"),
    ord("f"): _fixed(">f"),
    ord("d"): _fixed(">d"),
    ord("D"): (5, _decimal),
    ord("T"): (8, _timestamp),
    ord("V"): (0, _void),
    0: (0, _void),
}
