"""The driver, as far as it is used: a connection of aio-pika, and the channels below its wrapper.

aio-pika's own consumers and exchanges settle and confirm one message at a time. Its public
`get_underlay_channel` leads to the protocol's channel, on which runs of deliveries are settled
with one frame.
"""

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, cast

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq import Channel, TransportFactory
from aiormq.abc import DeliveredMessage
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from aiormq.exceptions import DeliveryError, PublishError

from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.failures import AmqpError, failure, translated_failures
from dispytch.rabbitmq.frames import FrameReader, properties_of, reference
from dispytch.rabbitmq.properties import Properties, write_properties

__all__ = [
    "Channel",
    "Connection",
    "Delivered",
    "NotTaken",
    "Properties",
    "Returned",
    "close_channel",
    "connect",
    "ended",
    "frame_max",
    "open_channel",
    "properties_of",
    "reference",
    "server_version",
    "when_ended",
    "write_properties",
]

Connection = AbstractConnection
Delivered = DeliveredMessage
NotTaken = DeliveryError
Returned = PublishError


class _Transport(TransportFactory):
    """Connects as the driver does, and has it read each frame through a `FrameReader`."""

    async def create(
        self, url: Any, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = url.scheme == "amqps"
        factory = TLSTransportFactory() if tls else TCPTransportFactory()
        reader, writer = await factory.create(url, **options)
        return cast(asyncio.StreamReader, FrameReader(reader)), writer


class _Connection(aio_pika.Connection):
    """A connection that no message ends, whatever its properties are."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.kwargs["transport_factory"] = _Transport()


async def connect(config: RabbitMQConfig, name: str) -> Connection:
    """Connect and log in, under a name for the broker's list of connections.

    Raises:
        ConfigurationError: the files for TLS cannot be used.
        aiormq.exceptions.AMQPError, OSError: it cannot be done.
    """
    tls = await asyncio.to_thread(config.tls_context) if config.tls else None
    own = {"connection_name": name, "product": "dispytch", "version": version("dispytch-rabbitmq")}
    return await aio_pika.connect(
        host=config.host,
        port=config.effective_port,
        login=config.user,
        password=config.password.get_secret_value(),
        virtualhost=config.vhost,
        ssl=config.tls,
        ssl_context=tls,
        client_properties=dict(own),
        heartbeat=config.heartbeat,
        connection_class=_Connection,
    )


async def open_channel(connection: Connection) -> Channel:
    """A new channel that confirms what is published, and raises what comes back.

    Raises:
        AmqpError: the connection has ended or has no channel left.
    """
    with translated_failures():
        channel = connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.initialize()
        underlay = await channel.get_underlay_channel()
    assert isinstance(underlay, Channel)
    return underlay


async def close_channel(channel: Channel) -> None:
    """Close it. Where this is cancelled, the closing goes on.

    The driver, when its closing is cancelled, closes a second time; and for a word on a channel
    that is closed the broker ends the whole connection.

    Raises:
        AmqpError: the channel or its connection has ended before.
    """
    closing = asyncio.create_task(_closed(channel), name="dispytch-rabbitmq-closing")
    _CLOSING.add(closing)
    closing.add_done_callback(_CLOSING.discard)
    if error := await asyncio.shield(closing):
        raise error


_CLOSING: set[asyncio.Task[AmqpError | None]] = set()


async def _closed(channel: Channel) -> AmqpError | None:
    # The error is not raised here, as nobody may be left to hear it.
    try:
        with translated_failures():
            await channel.close()
    except (AmqpError, TimeoutError) as error:
        return failure(error)
    return None


def ended(connection: Connection) -> bool:
    """Whether the connection is of no more use."""
    transport = connection.transport
    return connection.is_closed or transport is None or transport.connection.is_closed


def when_ended(channel: Channel, tell: Callable[[AmqpError], None]) -> None:
    """Call ``tell``, once, with the reason when the channel ends."""

    def closed(closing: asyncio.Future[object]) -> None:
        tell(failure(None if closing.cancelled() else closing.exception()))

    closing = cast("asyncio.Future[object]", channel.closing)  # pyright: ignore[reportUnknownMemberType]
    closing.add_done_callback(closed)


def frame_max(channel: Channel) -> int:
    """The largest frame that the broker takes, in bytes, its 8 of overhead included."""
    return channel.connection.connection_tune.frame_max or 131072


def server_version(channel: Channel) -> tuple[int, ...]:
    """The version of the broker, such as ``(3, 10)``; empty if it does not say."""
    said = channel.connection.server_properties.get("version", "")
    text = said.decode() if isinstance(said, bytes) else str(said)
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
