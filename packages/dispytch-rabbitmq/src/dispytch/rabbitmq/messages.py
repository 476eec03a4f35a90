"""Messages and deliveries of dispytch as messages of AMQP, and back.

The content type is AMQP's own property. The key travels in the CloudEvents partitioning extension,
as header ``cloudEvents_partitionkey``, which is not read as a header again. Header values are
written as strings where they are UTF-8, else as byte arrays; a name that occurs more than once
becomes an array, and an array that is read gives its name once for each element. A null header
is AMQP's void. The properties ``type`` and ``message_id`` of a message that has them are read as
headers too.

AMQP has no null body. A message without a value, a tombstone, travels with an empty one and the
header ``x-dispytch-null``, which is not read as a header again. Other programs see an empty body.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from dispytch.messages import CONTENT_TYPE, Delivery, Header, Headers, Lease, Message, Undecodable
from dispytch.rabbitmq.driver import Delivered, Properties, properties_of
from dispytch.rabbitmq.event_config import RabbitMQEventConfig
from dispytch.rabbitmq.header_values import milliseconds, raw_or_null, raws, text_or_bytes, written
from dispytch.rabbitmq.repeating import (
    as_they_came,
    drop_removed,
    kept_strings,
    stands_in,
    with_types,
    without_delays,
)
from dispytch.rabbitmq.topology import KEY_HEADER

KEY_HEADERS: Final = (KEY_HEADER, "cloudEvents:partitionkey", "ce-partitionkey")
"""The headers in which a key is looked for, the first of them first."""

NULL_HEADER: Final = "x-dispytch-null"
"""Says, as the boolean true, that a message with an empty body has none at all."""

DEFAULT_CONFIG: Final = RabbitMQEventConfig()

PERSISTENT: Final = 2
NAME_MAX: Final = 128
"""The longest name of a header, in bytes, that AMQP 0-9-1 allows."""

SHORT_STRING_MAX: Final = 255
_SHOWN: Final = 60


@dataclass(eq=False, slots=True, kw_only=True, init=False)
class RabbitMQDelivery(Delivery):
    """A delivery of a message to this topic, with all that AMQP says of it."""

    properties: Properties
    exchange: str
    routing_key: str
    redelivered: bool

    def __init__(
        self, lease: Lease, topic: str, delivered: Delivered, properties: Properties
    ) -> None:
        given = without_delays(properties)
        Delivery.__init__(
            self,
            topic,
            None if _is_null(delivered.body, given.headers) else delivered.body,
            _key(given.headers),
            _headers(given),
            lease,
            delivered.delivery_tag or 0,
            milliseconds(given.timestamp) if isinstance(given.timestamp, datetime) else None,
        )
        self.properties = given
        self.exchange = delivered.exchange or ""
        self.routing_key = delivered.routing_key or ""
        self.redelivered = bool(getattr(delivered.delivery, "redelivered", False))


@dataclass(eq=False, slots=True, kw_only=True, init=False)
class RabbitMQUndecodable(Undecodable):
    """A delivery whose properties or routing key cannot be read in full; its body can."""

    properties: Properties

    def __init__(
        self, lease: Lease, topic: str, delivered: Delivered, properties: Properties, reason: str
    ) -> None:
        Undecodable.__init__(
            self,
            topic,
            delivered.body,
            _key(properties.headers),
            _headers(properties),
            lease,
            delivered.delivery_tag or 0,
            reason=reason,
        )
        self.properties = properties


def delivery(
    lease: Lease, topic_of: Callable[[str], str], delivered: Delivered
) -> RabbitMQDelivery | RabbitMQUndecodable:
    """A message that came, whatever it looks like; never raises.

    topic_of: from its routing key.
    """
    try:
        return _delivery(lease, topic_of, delivered)
    except Exception as error:
        return RabbitMQUndecodable(
            lease, lease.topic, delivered, Properties(), f"it cannot be read: {error!r}"
        )


def _delivery(
    lease: Lease, topic_of: Callable[[str], str], delivered: Delivered
) -> RabbitMQDelivery | RabbitMQUndecodable:
    given, odd_key = properties_of(delivered.header)
    reason = given.unreadable
    if odd_key is not None:
        topic = topic_of(odd_key.decode("utf-8", "backslashreplace"))
        reason = f"its routing key is not UTF-8: {odd_key[:_SHOWN]!r}"
    else:
        topic = topic_of(delivered.routing_key or "")
    if reason is not None:
        return RabbitMQUndecodable(lease, topic, delivered, given, reason)
    return RabbitMQDelivery(lease, topic, delivered, given)


def properties(
    message: Message, config: RabbitMQEventConfig = DEFAULT_CONFIG, user: str | None = None
) -> Properties:
    """The properties under which a message travels, sent by a user.

    One that repeats a delivery keeps its properties and the types of its headers. It does not keep
    an expiration, which was meant for the first time, nor a user id that is not ours to give.

    Raises:
        ValueError: a property, or the name of a header, is too long.
    """
    short: dict[str, str] = {} if config is DEFAULT_CONFIG else config.short_strings()
    if isinstance(message.repeats, RabbitMQDelivery | RabbitMQUndecodable):
        return _repeated(message, message.repeats.properties, config, short, user)
    headers = _written(message.headers, short)
    if message.key is not None:
        headers[KEY_HEADER] = text_or_bytes(message.key)
    return _properties(message, headers, config, short, {})


def _written(given: Headers, short: dict[str, str]) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    for name, value in given:
        if name == CONTENT_TYPE and "content_type" not in short and value is not None:
            short["content_type"] = value.decode("utf-8", "surrogateescape")
        else:
            _add(headers, name, None if value is None else text_or_bytes(value))
    return headers


def _properties(
    message: Message,
    headers: dict[str, Any],
    config: RabbitMQEventConfig,
    short: dict[str, str],
    kept: dict[str, bytes],
) -> Properties:
    for name, typed in config.headers.items():
        headers.setdefault(name, typed)
    if message.value is None:
        headers[NULL_HEADER] = True
    _check_lengths(headers.keys() - kept.keys(), short)
    made = Properties(
        headers=headers,
        delivery_mode=PERSISTENT,
        priority=config.priority,
        timestamp=config.timestamp,
        message_type=short.pop("type", None),
        **short,
    )
    made.wire = kept
    return made


def _repeated(
    message: Message,
    first: Properties,
    config: RabbitMQEventConfig,
    short: dict[str, str],
    user: str | None,
) -> Properties:
    kept = kept_strings(first, user)
    drop_removed(kept, first, message.headers)
    given = [header for header in message.headers if not stands_in(kept, first, header)]
    short = kept | short
    headers = _written(given, short)
    if message.key is not None and _key(headers) != message.key:
        headers[KEY_HEADER] = text_or_bytes(message.key)
    headers = with_types(headers, first.headers or {})
    made = _properties(message, headers, config, short, as_they_came(headers, first))
    if made.priority is None:
        made.priority = first.priority
    if made.timestamp is None:
        made.timestamp, made.stamp = first.timestamp, first.stamp
    return made


def _add(headers: dict[str, Any], name: str, value: str | bytearray | None) -> None:
    if name not in headers:
        headers[name] = value
    elif isinstance(headers[name], list):
        headers[name].append(value)
    else:
        headers[name] = [headers[name], value]


def _check_lengths(names: Iterable[str], short: dict[str, str]) -> None:
    for name in names:
        if len(name) * 4 > NAME_MAX and len(written(name)) > NAME_MAX:
            raise ValueError(f"header name {name[:40]!r}... is longer than {NAME_MAX} bytes")
    for name, text in short.items():
        if len(text) * 4 > SHORT_STRING_MAX and len(written(text)) > SHORT_STRING_MAX:
            raise ValueError(f"{name} {text[:40]!r}... is longer than {SHORT_STRING_MAX} bytes")


def _key(headers: dict[str, Any] | None) -> bytes | None:
    if headers:
        for name in KEY_HEADERS:
            if name in headers:
                return raw_or_null(headers[name])
    return None


def _is_null(body: bytes, headers: dict[str, Any] | None) -> bool:
    return not body and headers is not None and headers.get(NULL_HEADER) is True


def _headers(given: Properties) -> list[Header]:
    own = given.headers or {}
    headers: list[Header] = []
    # The content type comes first, as it does where CloudEvents are written.
    if given.content_type is not None:
        headers.append((CONTENT_TYPE, written(given.content_type)))
    for name, value in own.items():
        if name == KEY_HEADER or (name == NULL_HEADER and value is True):
            continue
        if type(value) is str:
            headers.append((name, value.encode()))
        else:
            headers += [(name, each) for each in raws(value)]
    if given.message_type is not None and "type" not in own:
        headers.append(("type", written(given.message_type)))
    if given.message_id is not None and "message-id" not in own:
        headers.append(("message-id", written(given.message_id)))
    return headers
