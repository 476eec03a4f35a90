"""Content headers of AMQP as frames, through the driver and the package's own reading of them."""

import struct
from typing import Final

from aiormq.abc import DeliveredMessage
from pamqp import commands, frame, header

from dispytch.messages import Delivery, Lease, Message
from dispytch.rabbitmq.messages import RabbitMQDelivery, properties
from fuzzing.target import Finding, Target
from fuzzing.targets.shapes import ORDER

_CLASS: Final = 60
_FRAME_HEADER: Final = 2
_FRAME_END: Final = b"\xce"


def content_header(flags_and_values: bytes) -> header.ContentHeader:
    """What the driver makes of the flags and the values of properties as they stand on the wire."""
    payload = struct.pack(">HHQ", _CLASS, 0, len(ORDER)) + flags_and_values
    raw = struct.pack(">BHI", _FRAME_HEADER, 1, len(payload)) + payload + _FRAME_END
    found = frame.unmarshal(raw)[2]
    assert isinstance(found, header.ContentHeader)
    return found


def _run(data: bytes) -> None:
    deliver = commands.Basic.Deliver("c", 7, False, "", "orders")
    # The channel is never asked for anything.
    delivered = DeliveredMessage(deliver, content_header(data), ORDER, None)  # type: ignore[arg-type]
    delivery = RabbitMQDelivery(Lease("orders", "orders"), "orders", delivered)
    _check(delivery)
    _send_on(delivery)


def _check(delivery: Delivery) -> None:
    for name, value in delivery.headers:
        if not isinstance(name, str) or not isinstance(value, bytes | None):
            raise Finding("a header is not a name and bytes")
    if not isinstance(delivery.key, bytes | None):
        raise Finding("a key is not bytes")


def _send_on(delivery: Delivery) -> None:
    """What came in can go out again, as a dead letter does."""
    letter = Message(
        "dead", delivery.value, delivery.key, [*delivery.headers, ("a", b"b")], repeats=delivery
    )
    made = header.ContentHeader(0, len(ORDER), properties(letter))
    frame.marshal(made, 1)


def _short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def _table(*entries: tuple[bytes, bytes]) -> bytes:
    body = b"".join(_short(name) + value for name, value in entries)
    return struct.pack(">I", len(body)) + body


def _long(text: bytes) -> bytes:
    return b"S" + struct.pack(">I", len(text)) + text


# The bits of the properties, from the first one on: content type, encoding, headers, mode,
# priority, correlation id, reply to, expiration, message id, timestamp, type, user, application.
_PLAIN: Final = struct.pack(">H", 0b1011000010110000)
_SEEDS: Final = (
    b"\x00\x00",
    _PLAIN
    + _short(b"application/json")
    + _table((b"cloudEvents_id", _long(b"1")), (b"n", b"I\x00\x00\x00\x01"))
    + b"\x02"
    + _short(b"id-1")
    + struct.pack(">Q", 1_700_000_000)
    + _short(b"order"),
    struct.pack(">H", 1 << 6) + struct.pack(">Q", 1_700_000_000_000_000),
    struct.pack(">H", 1 << 7) + _short(b"\xff\xfe"),
    struct.pack(">H", 1 << 5) + _short(b"\xc3\x28"),
    struct.pack(">H", 1 << 13) + _table((b"\xff", _long(b"a"))),
    struct.pack(">H", 1 << 13) + _table((b"t", b"T" + b"\xff" * 8)),
    struct.pack(">H", 1 << 13) + _table((b"t", b"T" + struct.pack(">Q", 1_700_000_000))),
    struct.pack(">H", 1 << 13) + _table((b"d", b"D\x02\x00\x00\x00\x0a"), (b"v", b"V")),
    struct.pack(">H", 1 << 13)
    + _table(
        (b"a", b"A" + struct.pack(">I", 8) + b"t\x01t\x00b\x01b\xff"),
        (b"f", b"F" + _table((b"x", b"d" + struct.pack(">d", 1.5)))),
        (b"x", b"x\x00\x00\x00\x02\xff\xfe"),
    ),
)
_WORDS: Final = (
    b"T" + b"\xff" * 8,
    b"A\x00\x00\x00\x05",
    b"F\x00\x00\x00\x00",
    b"S\x00\x00\x00\x02",
)

AMQP: Final = (Target("amqp-properties", _run, _SEEDS, _WORDS, weight=3, max_len=1024),)
