"""Properties as no driver writes them: any bytes in their places."""

import struct
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
from aiormq.abc import ChannelFrame
from pamqp import body, commands, frame

_CLASS: Final = 60
_FRAME_HEADER: Final = 2

HEADERS, MESSAGE_ID, TIMESTAMP, TYPE, CORRELATION_ID = 13, 7, 6, 5, 10
"""The bits of properties; they stand on the wire from the highest bit on."""


class RawRabbitMQ:
    """Publishes to an exchange, without confirms: what the broker cannot read, it says later."""

    def __init__(self, channel: Any, exchange: str) -> None:
        self._channel = channel
        self._exchange = exchange

    async def send(self, routing_key: str, value: bytes, properties: Mapping[int, bytes]) -> None:
        """Publish one message, its properties as bytes by their bits."""
        number = self._channel.number
        publish = commands.Basic.Publish(exchange=self._exchange, routing_key=routing_key)
        frames = frame.marshal(publish, number)
        frames += _content_header(properties, len(value), number)
        frames += frame.marshal(body.ContentBody(value), number)
        await self._channel.write_queue.put(ChannelFrame(payload=frames, should_close=False))


@asynccontextmanager
async def raw_rabbitmq(url: str, exchange: str = "dispytch") -> AsyncGenerator[RawRabbitMQ]:
    """Connect."""
    connection = await aio_pika.connect(url.replace("rabbitmq://", "amqp://"))
    async with connection:
        channel = await connection.channel(publisher_confirms=False)
        yield RawRabbitMQ(await channel.get_underlay_channel(), exchange)


def short(text: bytes) -> bytes:
    """A short string."""
    return bytes([len(text)]) + text


def table(entries: Mapping[bytes, bytes]) -> bytes:
    """A table of values that bring their types along."""
    content = b"".join(short(name) + value for name, value in entries.items())
    return struct.pack(">I", len(content)) + content


def long(text: bytes) -> bytes:
    """The value of a header that is a string."""
    return b"S" + struct.pack(">I", len(text)) + text


def _content_header(properties: Mapping[int, bytes], size: int, channel: int) -> bytes:
    flags, values = 0, b""
    for bit in sorted(properties, reverse=True):
        flags |= 1 << bit
        values += properties[bit]
    payload = struct.pack(">HHQH", _CLASS, 0, size, flags) + values
    return struct.pack(">BHI", _FRAME_HEADER, channel, len(payload)) + payload + b"\xce"
