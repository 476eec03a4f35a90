"""What travels: a message, and a message as a broker delivered it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dispytch.event_config import EventConfig

Header = tuple[str, bytes | None]

Headers = Sequence[Header]
"""Names and raw values in the order of the wire; a name may occur more than once. A value may be
null, which is not an empty one.

The content type travels under ``content-type``. A backend whose protocol has a field of its own
for that maps it there and back.
"""

CONTENT_TYPE = "content-type"

REPLY_TO = "dispytch-reply-to"
"""The topic that the reply to a request goes to; it stays with the event wherever that is sent."""

CORRELATION_ID = "dispytch-correlation-id"
"""What a reply repeats of its request."""


def present(headers: Headers) -> dict[str, bytes]:
    """The headers that have a value, by name; of those with one name, the last."""
    return {name: value for name, value in headers if value is not None}


@dataclass(slots=True)
class Message:
    """Bytes on their way to or from a broker.

    ``value`` is None in a *tombstone*, which says that what the key names is gone; that is not an
    empty value, and stays null wherever the message is sent on.
    ``key`` decides order: messages of one topic and key are kept in order.
    ``config`` is the sending backend's own configuration for this message, or None.
    ``repeats`` is the delivery that this message sends on, or None: a backend keeps whatever its
    protocol knows of that beyond the headers, as AMQP its properties and the types of its headers.
    ``needs_reader`` says that it is worth nothing unless somebody is there to read it, as a request
    or a reply: where nobody is, it must be refused with `dispytch.exceptions.Unroutable`, if the
    broker can tell, and not be kept for whoever comes. No topic is made for a reply, see
    `may_make_topic`.
    """

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    config: EventConfig | None = None
    repeats: "Delivery | None" = None
    needs_reader: bool = False


def may_make_topic(message: Message) -> bool:
    """Whether a topic that is missing may be made for a message.

    Not for a reply, whose topic somebody else has chosen.
    """
    return not message.needs_reader or REPLY_TO in [name for name, _ in message.headers]


@dataclass(eq=False, slots=True)
class Lease:
    """A consumer's hold on one stream, from its assignment to its revocation.

    ``stream`` names what the broker keeps in order: ``orders[3]`` for a Kafka partition, the
    queue's name for RabbitMQ. ``topic`` is what the messages in it were sent to, or the pattern
    that matches all of them where it holds more than one topic. Every assignment makes a new
    lease, compared by identity; once ``ended``, settling one of its deliveries has no effect at
    the broker. Backends subclass it to hold their own bookkeeping.
    """

    topic: str
    stream: str
    ended: bool = False


@dataclass(eq=False, slots=True, kw_only=True, init=False)
class Delivery(Message):
    """A message as a consumer received it, with its coordinates at the broker.

    Every delivery is itself alone: compared by identity, unlike a plain message. Its order and its
    settlement go by its key, lease and position, which nobody changes.

    ``position`` grows along the stream, with gaps: an offset, a delivery tag.
    ``timestamp_ms`` is the broker's or the producer's, in milliseconds since the epoch.
    ``added`` is core's, and set only where the message came back to the group: see
    `dispytch.headers.added_to`.
    """

    lease: Lease
    position: int
    timestamp_ms: int | None
    added: Mapping[str, bytes] = field(repr=False)

    # One is made for every event: by position, that takes half the time that keywords take.
    def __init__(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers,
        lease: Lease,
        position: int,
        timestamp_ms: int | None = None,
    ) -> None:
        self.topic = topic
        self.value = value
        self.key = key
        self.headers = headers
        self.config: EventConfig | None = None
        self.repeats: Delivery | None = None
        self.needs_reader = False
        self.lease = lease
        self.position = position
        self.timestamp_ms = timestamp_ms

    if TYPE_CHECKING:

        def __eq__(self, other: object) -> bool: ...
        def __hash__(self) -> int: ...
    else:
        __eq__ = object.__eq__
        __hash__ = object.__hash__


@dataclass(eq=False, slots=True, kw_only=True, init=False)
class Undecodable(Delivery):
    """A delivery that the driver could not decode; it has its place at the broker all the same.

    ``reason`` says what is wrong. Topic, key, headers and value are there as far as they could be
    read; ``value`` is None where it could not.

    It is given up at once, as the listener's failure policy says, and acked like any delivery. Its
    dead letter has what could be read, and says where the rest lies.
    """

    reason: str

    def __init__(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers,
        lease: Lease,
        position: int,
        timestamp_ms: int | None = None,
        *,
        reason: str,
    ) -> None:
        Delivery.__init__(self, topic, value, key, headers, lease, position, timestamp_ms)
        self.reason = reason
