"""The properties of a message, in its content header."""

import struct
from dataclasses import dataclass, field
from typing import Final

from dispytch.rabbitmq.amqp.fields import HeaderValue, read_table, write_table

PERSISTENT = 2

_START = struct.Struct(">HHQH")
_LENGTH = struct.Struct(">I")
_SECONDS = struct.Struct(">Q")
_SHORT_STRINGS: Final = {
    "content_type": 1 << 15,
    "content_encoding": 1 << 14,
    "correlation_id": 1 << 10,
    "reply_to": 1 << 9,
    "expiration": 1 << 8,
    "message_id": 1 << 7,
    "type": 1 << 5,
    "user_id": 1 << 4,
    "app_id": 1 << 3,
    "cluster_id": 1 << 2,
}
_HEADERS, _DELIVERY_MODE, _PRIORITY, _TIMESTAMP = 1 << 13, 1 << 12, 1 << 11, 1 << 6
_ORDER: Final = sorted(
    [
        *((flag, name) for name, flag in _SHORT_STRINGS.items()),
        (_HEADERS, "headers"),
        (_DELIVERY_MODE, "delivery_mode"),
        (_PRIORITY, "priority"),
        (_TIMESTAMP, "timestamp"),
    ],
    reverse=True,
)


@dataclass(slots=True)
class Properties:
    """The properties of a message as AMQP 0-9-1 names them; ``timestamp`` is in seconds.

    Short strings that are no UTF-8 keep their bytes through ``surrogateescape``. ``damage`` says
    what could not be read; whatever precedes it is there.
    """

    content_type: str | None = None
    content_encoding: str | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None
    damage: str | None = None


def read_properties(header: bytes) -> Properties:
    """Read a content header; never raises, see `Properties`."""
    properties = Properties()
    try:
        _read_into(properties, header)
    except (ValueError, LookupError, struct.error) as error:
        properties.damage = str(error)
    return properties


def _read_into(properties: Properties, header: bytes) -> None:
    flags: int = _START.unpack_from(header)[3]
    position = _START.size
    for flag, name in _ORDER:
        if not flags & flag:
            continue
        match name:
            case "headers":
                (length,) = _LENGTH.unpack_from(header, position)
                start, position = position + 4, position + 4 + length
                _read_headers(properties, header[start:position])
            case "delivery_mode" | "priority":
                setattr(properties, name, header[position])
                position += 1
            case "timestamp":
                (properties.timestamp,) = _SECONDS.unpack_from(header, position)
                position += 8
            case _:
                start, position = position + 1, position + 1 + header[position]
                setattr(properties, name, header[start:position].decode("utf-8", "surrogateescape"))


def _read_headers(properties: Properties, table: bytes) -> None:
    try:
        for field_read in read_table(table):
            properties.headers.append(field_read)
    except (ValueError, LookupError, struct.error) as error:
        properties.damage = f"headers: {error}"


def write_header(
    body_size: int,
    headers: dict[str, list[bytes | HeaderValue]],
    *,
    short: dict[str, str],
    delivery_mode: int = PERSISTENT,
    priority: int | None = None,
    timestamp: int | None = None,
) -> bytes:
    """Write a content header; ``short`` has the short strings that are set, by property name.

    Raises:
        ValueError: a text is longer than 255 bytes, or a header cannot be written.
    """
    flags, parts = 0, [b""]
    for flag, name in _ORDER:
        written = _written(name, headers, short, delivery_mode, priority, timestamp)
        if written is not None:
            flags |= flag
            parts.append(written)
    parts[0] = _START.pack(60, 0, body_size, flags)
    return b"".join(parts)


def _written(
    name: str,
    headers: dict[str, list[bytes | HeaderValue]],
    short: dict[str, str],
    delivery_mode: int,
    priority: int | None,
    timestamp: int | None,
) -> bytes | None:
    match name:
        case "headers":
            table = write_table(headers)
            return _LENGTH.pack(len(table)) + table if table else None
        case "delivery_mode":
            return delivery_mode.to_bytes()
        case "priority":
            return None if priority is None else priority.to_bytes()
        case "timestamp":
            return None if timestamp is None else _SECONDS.pack(timestamp)
        case _:
            return _short_string(name, short[name]) if name in short else None


def _short_string(name: str, text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    if len(encoded) > 255:
        raise ValueError(f"{name} {text[:40]!r}... is longer than 255 bytes")
    return len(encoded).to_bytes() + encoded
