"""Messages and deliveries of dispytch as messages of AMQP, and back.

The content type is AMQP's own property. The key travels in the CloudEvents partitioning extension,
as header ``cloudEvents_partitionkey``. Header values are written as strings where they are UTF-8,
else as byte arrays; a name that occurs more than once becomes an array, and an array that is read
gives its name once for each element. The properties ``type`` and ``message_id`` of a message that
has them are read as headers too.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from dispytch.messages import CONTENT_TYPE, Delivery, Lease, Message
from dispytch.rabbitmq.driver import Delivered, Properties
from dispytch.rabbitmq.event_config import RabbitMQEventConfig

KEY_HEADER: Final = "cloudEvents_partitionkey"
"""The header in which a message's key is written."""

KEY_HEADERS: Final = (KEY_HEADER, "cloudEvents:partitionkey", "ce-partitionkey")
"""The headers in which a key is looked for, the first of them first."""

DEFAULT_CONFIG: Final = RabbitMQEventConfig()

PERSISTENT: Final = 2
NAME_MAX: Final = 128
"""The longest name of a header, in bytes, that AMQP 0-9-1 allows."""

SHORT_STRING_MAX: Final = 255


@dataclass(eq=False, slots=True, kw_only=True)
class RabbitMQDelivery(Delivery):
    """A delivery with all that AMQP says of it."""

    properties: Properties
    exchange: str
    routing_key: str
    redelivered: bool


def properties(message: Message, config: RabbitMQEventConfig = DEFAULT_CONFIG) -> Properties:
    """The properties under which a message travels.

    Raises:
        ValueError: a property, or the name of a header, is too long.
    """
    short: dict[str, str] = {} if config is DEFAULT_CONFIG else config.short_strings()
    headers: dict[str, Any] = {}
    for name, value in message.headers:
        if name == CONTENT_TYPE and CONTENT_TYPE not in short:
            short["content_type"] = value.decode("utf-8", "backslashreplace")
        else:
            _add(headers, name, _text_or_bytes(value))
    if message.key is not None:
        headers[KEY_HEADER] = _text_or_bytes(message.key)
    for name, typed in config.headers.items():
        headers.setdefault(name, typed)
    _check_lengths(headers, short)
    return Properties(
        headers=headers,
        delivery_mode=PERSISTENT,
        priority=config.priority,
        timestamp=config.timestamp,
        message_type=short.pop("type", None),
        **short,
    )


def delivery(lease: Lease, delivered: Delivered) -> RabbitMQDelivery:
    """The delivery that the broker has handed out under a lease."""
    given = delivered.header.properties
    headers = list(_headers(given))
    return RabbitMQDelivery(
        topic=lease.topic,
        value=delivered.body,
        key=_key(given.headers),
        headers=headers,
        lease=lease,
        position=delivered.delivery_tag or 0,
        timestamp_ms=None if given.timestamp is None else _milliseconds(given.timestamp),
        properties=given,
        exchange=delivered.exchange or "",
        routing_key=delivered.routing_key or "",
        redelivered=bool(getattr(delivered.delivery, "redelivered", False)),
    )


def _add(headers: dict[str, Any], name: str, value: str | bytearray) -> None:
    if name not in headers:
        headers[name] = value
    elif isinstance(headers[name], list):
        headers[name].append(value)
    else:
        headers[name] = [headers[name], value]


def _text_or_bytes(value: bytes) -> str | bytearray:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return bytearray(value)


def _check_lengths(headers: dict[str, Any], short: dict[str, str]) -> None:
    for name in headers:
        # The driver would cut it off.
        if len(name) * 4 > NAME_MAX and len(name.encode()) > NAME_MAX:
            raise ValueError(f"header name {name[:40]!r}... is longer than {NAME_MAX} bytes")
    for name, text in short.items():
        if len(text) * 4 > SHORT_STRING_MAX and len(text.encode()) > SHORT_STRING_MAX:
            raise ValueError(f"{name} {text[:40]!r}... is longer than {SHORT_STRING_MAX} bytes")


def _key(headers: dict[str, Any] | None) -> bytes | None:
    if headers:
        for name in KEY_HEADERS:
            if name in headers:
                return _raw(headers[name])
    return None


def _headers(given: Properties) -> Iterator[tuple[str, bytes]]:
    own = given.headers or {}
    for name, value in own.items():
        if isinstance(value, list):
            for element in value:
                yield name, _raw(element)
        else:
            yield name, _raw(value)
    if given.content_type is not None:
        yield CONTENT_TYPE, given.content_type.encode()
    if given.message_type is not None and "type" not in own:
        yield "type", given.message_type.encode()
    if given.message_id is not None and "message-id" not in own:
        yield "message-id", given.message_id.encode()


def _raw(value: Any) -> bytes:
    """The text that a person would write for a value; bytes as they are."""
    match value:
        case str():
            return value.encode()
        case bytes() | bytearray():
            return bytes(value)
        case None:
            return b""
        case datetime():
            return b"%d" % _milliseconds(value)
        case _:
            return json.dumps(value, default=_for_json).encode()


def _for_json(value: Any) -> Any:
    match value:
        case bytes() | bytearray():
            return value.decode("utf-8", "replace")
        case datetime():
            return _milliseconds(value)
        case _:
            return str(value)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
