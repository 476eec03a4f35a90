"""Messages of AMQP as frames, through the package, the driver and back onto the wire."""

import asyncio
import struct
from collections.abc import Coroutine
from typing import Any, Final

from aiormq.abc import DeliveredMessage
from aiormq.connection import FrameReceiver
from pamqp import commands, header

from dispytch.messages import Delivery, Lease, Message
from dispytch.rabbitmq.frames import FrameReader
from dispytch.rabbitmq.messages import delivery, properties
from dispytch.rabbitmq.properties import read_properties, write_properties
from fuzzing.target import Finding, Target
from fuzzing.targets.shapes import ORDER

_CLASS: Final = 60
_METHOD_FRAME: Final = 1
_HEADER_FRAME: Final = 2
_FRAME_END: Final = b"\xce"
_LEASE: Final = Lease("orders", "orders")
_LOOP: Final = asyncio.new_event_loop()


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, 1, len(payload)) + payload + _FRAME_END


def _frames(key: bytes, flags_and_values: bytes) -> bytes:
    """A delivery with this routing key, and its content header."""
    method = struct.pack(">HH", _CLASS, 60) + _short(b"c") + struct.pack(">QB", 7, 0)
    head = struct.pack(">HHQ", _CLASS, 0, len(ORDER)) + flags_and_values
    return _frame(_METHOD_FRAME, method + _short(b"") + _short(key)) + _frame(_HEADER_FRAME, head)


async def _received(frames: bytes) -> DeliveredMessage:
    """What the driver hears of it."""
    stream = asyncio.StreamReader(loop=_LOOP)
    stream.feed_data(frames)
    receiver = FrameReceiver(FrameReader(stream))  # type: ignore[arg-type]
    receiver.started = True
    _, _, deliver = await receiver.get_frame()
    _, _, head = await receiver.get_frame()
    assert isinstance(deliver, commands.Basic.Deliver)
    assert isinstance(head, header.ContentHeader)
    # The channel is never asked for anything.
    return DeliveredMessage(deliver, head, ORDER, None)  # type: ignore[arg-type]


def _at_once(reading: Coroutine[Any, Any, DeliveredMessage]) -> DeliveredMessage:
    """The result of what has nothing to wait for: a turn of a loop would take most of the time."""
    try:
        reading.send(None)
    except StopIteration as end:
        found: DeliveredMessage = end.value
        return found
    reading.close()
    raise Finding("it waits for more bytes")


def _run(data: bytes) -> None:
    """A routing key as a short string, then the flags and the values of the properties."""
    key, rest = data[1 : 1 + data[0]] if data else b"", data[1 + data[0] :] if data else b""
    delivered = _at_once(_received(_frames(key, rest)))
    found = delivery(_LEASE, str, delivered)
    _check(found)
    _send_on(found)


def _check(delivery: Delivery) -> None:
    for name, value in delivery.headers:
        if not isinstance(name, str) or not isinstance(value, bytes | None):
            raise Finding("a header is not a name and bytes")
    if not isinstance(delivery.key, bytes | None):
        raise Finding("a key is not bytes")


def _send_on(delivery: Delivery) -> None:
    """What came in can go out again, as a dead letter does, with every value as it was."""
    letter = Message(
        "dead", delivery.value, delivery.key, [*delivery.headers, ("a", b"b")], repeats=delivery
    )
    try:
        written = write_properties(properties(letter))
    except ValueError:
        # A name or a text that is longer than AMQP allows, which core is told of.
        return
    if read_properties(written).unreadable is not None:
        raise Finding("what is written cannot be read")


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

_KEYS: Final = (_short(b"orders"), _short(b"\xff\xfe"))
_INPUTS: Final = [key + seed for seed in _SEEDS for key in _KEYS]

TARGETS: Final = (Target("amqp-properties", _run, _INPUTS, _WORDS, weight=3, max_len=1024),)
