"""Messages as no well-behaved client writes them, straight onto the wire."""

import struct
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aio_pika
from aiormq import Channel
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal

FLAGS: Final = Basic.Properties.flags

_NOW: Final = int(time.time())


def short(raw: bytes) -> bytes:
    """A short string."""
    return bytes([len(raw)]) + raw


def table(*entries: tuple[bytes, bytes]) -> bytes:
    """A field table of names, and of values with their types."""
    inner = b"".join(short(name) + value for name, value in entries)
    return struct.pack(">I", len(inner)) + inner


def nested(levels: int) -> bytes:
    """An array in an array, and so on."""
    value = b"V"
    for _ in range(levels):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value


def moment(count: int) -> bytes:
    """A timestamp."""
    return struct.pack(">Q", count)


PROPERTIES: Final[Mapping[str, Mapping[str, bytes]]] = {
    "timestamp in milliseconds": {"timestamp": moment(_NOW * 10**3 + 1)},
    "timestamp in microseconds": {"timestamp": moment(_NOW * 10**6)},
    "timestamp in nanoseconds": {"timestamp": moment(_NOW * 10**9)},
    "timestamp beyond all time": {"timestamp": moment(2**64 - 1)},
    "content type": {"content_type": short(b"\xff")},
    "content encoding": {"content_encoding": short(b"\xff\xfe")},
    "message id": {"message_id": short(b"\xff" * 255)},
    "type": {"message_type": short(b"\xff")},
    "correlation id": {"correlation_id": short(b"\xe2\x28\xa1")},
    "reply to": {"reply_to": short(b"\xff")},
    "app id": {"app_id": short(b"\xff")},
    "delivery mode": {"delivery_mode": b"\x02"},
    "header name": {"headers": table((b"a\xff", b"S\x00\x00\x00\x01x"))},
    "long header name": {"headers": table((b"n" * 255, b"t\x01"))},
    "header value": {"headers": table((b"a", b"S\x00\x00\x00\x02\xff\xfe"))},
    "time in a header": {"headers": table((b"a", b"T" + moment(_NOW * 10**6)))},
    "double": {"headers": table((b"a", b"d" + struct.pack(">d", 1e300)))},
    "decimal": {"headers": table((b"a", b"D\xff" + struct.pack(">i", -5)))},
    "name in a table": {"headers": table((b"a", b"F" + table((b"\xff", b"V"))))},
    "nested 100 deep": {"headers": table((b"a", nested(100)))},
    "nested 3,000 deep": {"headers": table((b"a", nested(3_000)))},
    "two of one name": {"headers": table((b"a", b"t\x00"), (b"a", b"t\x01"))},
}
"""By what is wrong with it, each property that such a message has."""


def raw(given: Mapping[str, bytes]) -> bytes:
    """Properties, from the flags on."""
    flags = sum(FLAGS[name] for name in given)
    return struct.pack(">H", flags) + b"".join(given[name] for name in FLAGS if name in given)


async def publish(
    url: str, exchange: str, key: bytes, properties: Mapping[str, bytes], body: bytes
) -> None:
    """Publish a message with these properties, and wait until the broker has routed it."""
    parts = urlsplit(url)
    connection = await aio_pika.connect(f"amqp://{parts.netloc}{parts.path}")
    async with connection:
        opened = connection.channel(publisher_confirms=False)
        await opened.initialize()
        channel = await opened.get_underlay_channel()
        assert isinstance(channel, Channel)
        frames = _frames(channel.number, exchange.encode(), key, raw(properties), body)
        await channel.write_queue.put(ChannelFrame(payload=frames, should_close=False))
        await channel.basic_qos(prefetch_count=1)


def _frames(number: int, exchange: bytes, key: bytes, properties: bytes, body: bytes) -> bytes:
    method = b"\x00\x3c\x00\x28\x00\x00" + short(exchange) + short(key) + b"\x00"
    header = struct.pack(">HHQ", 60, 0, len(body)) + properties
    return b"".join(
        (
            struct.pack(">BHI", 1, number, len(method)) + method + b"\xce",
            struct.pack(">BHI", 2, number, len(header)) + header + b"\xce",
            marshal(ContentBody(body), number),
        )
    )
