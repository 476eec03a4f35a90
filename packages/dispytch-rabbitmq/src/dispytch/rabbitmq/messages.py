"""Messages and deliveries of dispytch as messages of AMQP, and back.

The content type is AMQP's own property. The key travels in the header ``dispytch-key``. Header
values are written as strings where they are UTF-8, else as byte arrays; a name that occurs more
than once becomes an array, and an array that is read gives its name once for each element. The
properties ``type`` and ``message_id`` of a message that has them are read as headers too.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from dispytch.messages import CONTENT_TYPE, Delivery, Headers, Lease, Message
from dispytch.rabbitmq.amqp.fields import HeaderValue
from dispytch.rabbitmq.amqp.frames import Delivered
from dispytch.rabbitmq.amqp.properties import Properties, read_properties, write_header
from dispytch.rabbitmq.event_config import RabbitMQEventConfig

logger = logging.getLogger("dispytch.rabbitmq")

KEY_HEADER = "dispytch-key"
"""The header in which a message's key travels."""

DEFAULT_CONFIG = RabbitMQEventConfig()

_MILLISECONDS_FROM = 2**32
"""Timestamps from here on are taken as milliseconds, which some clients write."""


@dataclass(eq=False, slots=True, kw_only=True)
class RabbitMQDelivery(Delivery):
    """A delivery with all that AMQP says of it; ``raw_header`` is its content header as it came."""

    properties: Properties
    raw_header: bytes
    exchange: str
    routing_key: str
    redelivered: bool


def content_header(message: Message, config: RabbitMQEventConfig = DEFAULT_CONFIG) -> bytes:
    """The content header under which a message travels.

    Raises:
        ValueError: a property, or the name of a header, is too long.
    """
    headers: dict[str, list[bytes | HeaderValue]] = {}
    short: dict[str, str] = {} if config is DEFAULT_CONFIG else config.short_strings()
    for name, value in message.headers:
        if name == CONTENT_TYPE and CONTENT_TYPE not in short:
            short["content_type"] = value.decode("utf-8", "surrogateescape")
        else:
            headers.setdefault(name, []).append(value)
    if message.key is not None:
        headers[KEY_HEADER] = [message.key]
    for name, typed in config.headers.items():
        headers.setdefault(name, [typed])
    return write_header(
        len(message.value),
        headers,
        short=short,
        priority=config.priority,
        timestamp=None if config.timestamp is None else int(config.timestamp.timestamp()),
    )


def delivery(lease: Lease, delivered: Delivered, header: bytes, body: bytes) -> RabbitMQDelivery:
    """The delivery that the broker has handed out under a lease."""
    properties = read_properties(header)
    if properties.damage is not None:
        logger.warning(
            "%s: delivery %d has properties that cannot be read in full: %s",
            lease.stream,
            delivered.tag,
            properties.damage,
        )
    key, headers = _key_and_headers(properties)
    return RabbitMQDelivery(
        topic=lease.topic,
        value=body,
        key=key,
        headers=headers,
        lease=lease,
        position=delivered.tag,
        timestamp_ms=_milliseconds(properties.timestamp),
        properties=properties,
        raw_header=header,
        exchange=delivered.exchange,
        routing_key=delivered.routing_key,
        redelivered=delivered.redelivered,
    )


def _key_and_headers(properties: Properties) -> tuple[bytes | None, Headers]:
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = []
    for name, value in properties.headers:
        if name == KEY_HEADER:
            key = value
        else:
            headers.append((name, value))
    headers.extend(_own_properties(properties, headers))
    return key, headers


def _own_properties(properties: Properties, headers: Headers) -> Iterator[tuple[str, bytes]]:
    if properties.content_type is not None:
        yield CONTENT_TYPE, properties.content_type.encode("utf-8", "surrogateescape")
    for name, text in (("type", properties.type), ("message-id", properties.message_id)):
        if text is not None and all(name != other for other, _ in headers):
            yield name, text.encode("utf-8", "surrogateescape")


def _milliseconds(timestamp: int | None) -> int | None:
    if timestamp is None or timestamp >= _MILLISECONDS_FROM:
        return timestamp
    return timestamp * 1000
