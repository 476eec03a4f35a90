"""The properties of a message, as bytes and back: pure.

They are read leniently, see `dispytch.rabbitmq.fields`, and written as they were read wherever
nobody has changed them.
"""

from collections.abc import Callable
from datetime import datetime
from struct import Struct
from typing import Any, Final

from pamqp.commands import Basic
from pamqp.encode import encode_table_value

from dispytch.rabbitmq.fields import Malformed, Table, moment, text

SHORT_STRING_MAX: Final = 255

_WORD: Final = Struct(">H")
_LENGTH: Final = Struct(">I")
_MOMENT: Final = Struct(">Q")

_MORE_FLAGS: Final = 1
_FLAGS: Final = Basic.Properties.flags


class Properties(Basic.Properties):
    """The properties of a message, with what is needed to write them as they were read.

    Short strings have lone surrogates where they are not UTF-8. ``timestamp`` is a number where it
    is no time that there is.

    wire: the type and the bytes of the values in ``headers``, by name.
    stamp: the number in ``timestamp``, as it was read.
    unreadable: why not all of them could be read, or None; what could be is there.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.timestamp: datetime | int | None  # type: ignore[assignment,unused-ignore]
        self.wire: dict[str, bytes] = {}
        self.stamp: int | None = None
        self.unreadable: str | None = None

    @classmethod
    def empty(cls) -> "Properties":
        """None at all; made for every message, without the checks of what is given."""
        made = cls.__new__(cls)
        for name in cls.__slots__:
            setattr(made, name, None)
        made.cluster_id = ""
        made.wire = {}
        made.stamp = made.unreadable = None
        return made


def read_properties(data: bytes) -> Properties:
    """The properties in a content header, from the flags on; never raises."""
    properties = Properties.empty()
    try:
        _read(properties, data)
    except Malformed as error:
        properties.unreadable = properties.unreadable or str(error)
    return properties


def write_properties(properties: Properties) -> bytes:
    """What goes into a content header, from the flags on.

    Raises:
        ValueError, TypeError: a value cannot be written.
    """
    flags = 0
    parts: list[bytes] = []
    for name, write in _WRITERS.items():
        value = getattr(properties, name)
        if value is not None and value != "":
            flags |= _FLAGS[name]
            parts.append(write(properties, value))
    return b"".join((_WORD.pack(flags), *parts))


def short_string(value: str) -> bytes:
    """A short string, with the bytes again that lone surrogates stand for.

    Raises:
        ValueError: it is too long, or has surrogates that stand for none.
    """
    raw = value.encode("utf-8", "surrogateescape")
    if len(raw) > SHORT_STRING_MAX:
        raise ValueError(f"{value[:40]!r}... is longer than {SHORT_STRING_MAX} bytes")
    return bytes([len(raw)]) + raw


def _read(properties: Properties, data: bytes) -> None:
    flags, at = _read_flags(data)
    for flag, name, read in _READERS:
        if flags & flag:
            try:
                at = read(properties, name, data, at)
            except IndexError:
                at = len(data) + 1
            if at > len(data):
                raise Malformed(f"the properties end in mid-{name}")


def _read_flags(data: bytes) -> tuple[int, int]:
    flags, at = 0, 0
    while True:
        if at + 2 > len(data):
            raise Malformed("the properties end in mid-flags")
        word = (data[at] << 8) | data[at + 1]
        flags, at = flags | (word if not at else 0), at + 2
        if not word & _MORE_FLAGS:
            return flags, at


def _read_short(properties: Properties, name: str, data: bytes, at: int) -> int:
    start = at + 1
    end = start + data[at]
    setattr(properties, name, text(data[start:end]))
    return end


def _read_octet(properties: Properties, name: str, data: bytes, at: int) -> int:
    setattr(properties, name, data[at])
    return at + 1


def _read_timestamp(properties: Properties, _name: str, data: bytes, at: int) -> int:
    end = at + _MOMENT.size
    if end <= len(data):
        count: int = _MOMENT.unpack_from(data, at)[0]
        found = moment(count)
        properties.stamp = count
        properties.timestamp = count if found is None else found
    return end


def _read_headers(properties: Properties, _name: str, data: bytes, at: int) -> int:
    start = at + _LENGTH.size
    if start > len(data):
        return start
    length: int = _LENGTH.unpack_from(data, at)[0]
    end = start + length
    if end > len(data):
        return end
    table = Table()
    properties.headers, properties.wire = table.values, table.wire
    try:
        table.read(data[start:end])
    except Malformed as error:
        # The table's length says where the next property begins, all the same.
        properties.unreadable = str(error)
    return end


def _write_short(_properties: Properties, value: str) -> bytes:
    return short_string(value)


def _write_octet(_properties: Properties, value: int) -> bytes:
    return bytes([value])


def _write_timestamp(properties: Properties, value: datetime | int) -> bytes:
    if properties.stamp is not None:
        return _MOMENT.pack(properties.stamp)
    return _MOMENT.pack(value if isinstance(value, int) else int(value.timestamp()))


def _write_headers(properties: Properties, value: dict[str, Any]) -> bytes:
    wire = properties.wire
    entries: list[bytes] = []
    for name, each in value.items():
        entries.append(short_string(name))
        entries.append(wire[name] if name in wire else _written(each))
    table = b"".join(entries)
    return _LENGTH.pack(len(table)) + table


def _written(value: Any) -> bytes:
    if type(value) is str:
        raw = value.encode("utf-8", "surrogateescape")
        return b"S" + _LENGTH.pack(len(raw)) + raw
    written: bytes = encode_table_value(value)
    return written


_OTHERS_READ: Final = {
    "headers": _read_headers,
    "delivery_mode": _read_octet,
    "priority": _read_octet,
    "timestamp": _read_timestamp,
}
_OTHERS_WRITTEN: Final[dict[str, Callable[[Properties, Any], bytes]]] = {
    "headers": _write_headers,
    "delivery_mode": _write_octet,
    "priority": _write_octet,
    "timestamp": _write_timestamp,
}
_READERS: Final = [
    (flag, name, _OTHERS_READ.get(name, _read_short)) for name, flag in _FLAGS.items()
]
_WRITERS: Final = {name: _OTHERS_WRITTEN.get(name, _write_short) for name in _FLAGS}
