"""One connection to the broker: login, heartbeats, and frames to and from its channels."""

import asyncio
import ssl
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from pamqp import commands

from dispytch.rabbitmq.amqp.channel import Channel, ChannelEvents
from dispytch.rabbitmq.amqp.errors import AmqpError, ClosedByUs, ConnectionClosed, ConnectionLost
from dispytch.rabbitmq.amqp.frames import HEARTBEAT_FRAME, METHOD, PROTOCOL_HEADER, FrameReader
from dispytch.rabbitmq.amqp.methods import Method, read_method, write_method

Answer = TypeVar("Answer", bound=Method)

CLOSE_TIMEOUT = 5.0
CAPABILITIES = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "publisher_confirms": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect, and as whom. ``heartbeat`` is in seconds; 0 turns it off."""

    host: str
    port: int
    vhost: str
    user: str
    password: str = field(repr=False)
    heartbeat: int
    name: str
    tls: ssl.SSLContext | None = None


class Connection(asyncio.Protocol):
    """A connection that is logged in, from `connect` to its end, which ``ended`` tells with why.

    Bytes written in one turn of the event loop go out together.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[AmqpError] = self._loop.create_future()
        self.blocked: str | None = None
        """Why the broker takes no messages at present, in its own words."""
        self.paused = False
        """Whether so much is unsent that writers should wait for `ChannelEvents.resumed`."""
        self.frame_max = 131072
        self.server: dict[str, Any] = {}
        """The server's own properties: ``product``, ``version`` and others."""
        self._channel_max = 2047
        self._channels: dict[int, Channel] = {}
        self._reader = FrameReader()
        self._waiting: asyncio.Future[Method] | None = None
        self._outgoing: list[bytes] = []
        self._transport: asyncio.Transport
        self._heartbeat = 0
        self._beating: asyncio.TimerHandle | None = None
        self._last_received = self._last_sent = self._loop.time()

    @classmethod
    async def connect(cls, target: Target) -> "Connection":
        """Connect and log in.

        Raises:
            OSError: no way to the broker, or TLS failed.
            AmqpError: the broker refused the login or the virtual host, or speaks no AMQP 0-9-1.
        """
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, target.host, target.port, ssl=target.tls)
        try:
            await connection._log_in(target)
        except BaseException:
            connection._end(ClosedByUs("the login failed"))
            raise
        return connection

    async def open_channel(self, events: ChannelEvents) -> Channel:
        """A new channel, whose events go to `events`.

        Raises:
            AmqpError: the connection has ended or has no channel left.
        """
        if self.ended.done():
            raise self.ended.result()
        free = (n for n in range(1, self._channel_max + 1) if n not in self._channels)
        number = next(free, None)
        if number is None:
            raise AmqpError(f"all {self._channel_max} channels of the connection are in use")
        channel = Channel(number, self, events)
        self._channels[number] = channel
        await channel.call(commands.Channel.Open(), commands.Channel.OpenOk)
        return channel

    async def close(self) -> None:
        """Close the connection with the broker's knowledge, or without it after 5 seconds."""
        if self.ended.done():
            return
        method = commands.Connection.Close(200, "closed by the client", 0, 0)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._call(method, commands.Connection.CloseOk)
        except (AmqpError, TimeoutError):
            self._end(ConnectionLost("the broker did not answer when the connection was closed"))
        self._end(ClosedByUs("the connection was closed"))

    def write(self, data: bytes) -> None:
        """Send these bytes, after those before them, with all that is written in this turn."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(data)

    def release(self, number: int) -> None:
        """The channel of this number has ended."""
        self._channels.pop(number, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._end(ConnectionLost(f"the connection was lost: {exc or 'closed by the other side'}"))

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._last_received = self._loop.time()
        try:
            for frame_type, number, payload in self._reader.feed(data):
                if number:
                    channel = self._channels.get(number)
                    if channel is not None:
                        channel.receive(frame_type, payload)
                elif frame_type == METHOD:
                    self._receive(read_method(payload))
        except AmqpError as error:
            self._end(error)

    def pause_writing(self) -> None:
        """Called by the event loop."""
        self.paused = True

    def resume_writing(self) -> None:
        """Called by the event loop."""
        self.paused = False
        for channel in tuple(self._channels.values()):
            channel.resumed()

    async def _log_in(self, target: Target) -> None:
        self._transport.write(PROTOCOL_HEADER)
        start = await self._call(None, commands.Connection.Start)
        self.server = dict(start.server_properties or {})
        if "PLAIN" not in (start.mechanisms or "").split():
            raise AmqpError(f"the broker offers {start.mechanisms} to log in, but not PLAIN")
        tune = await self._call(_start_ok(target), commands.Connection.Tune)
        self._tune(tune, target.heartbeat)
        opening = commands.Connection.Open(virtual_host=target.vhost)
        await self._call(opening, commands.Connection.OpenOk)

    def _tune(self, tune: commands.Connection.Tune, heartbeat: int) -> None:
        self.frame_max = tune.frame_max or self.frame_max
        self._channel_max = tune.channel_max or 65535
        self._heartbeat = min(heartbeat, tune.heartbeat or heartbeat)
        self._write_method(
            commands.Connection.TuneOk(self._channel_max, self.frame_max, self._heartbeat)
        )
        if self._heartbeat:
            self._beating = self._loop.call_later(self._heartbeat / 2, self._beat)

    async def _call(self, method: Method | None, answer: type[Answer]) -> Answer:
        if self.ended.done():
            raise self.ended.result()
        self._waiting = self._loop.create_future()
        if method is not None:
            self._write_method(method)
        answered = await self._waiting
        if not isinstance(answered, answer):
            raise AmqpError(f"expected {answer.name}, got {answered.name}")
        return answered

    def _receive(self, method: Method) -> None:
        match method:
            case commands.Connection.Close():
                self._write_method(commands.Connection.CloseOk())
                self._flush()
                self._end(ConnectionClosed(method.reply_code or 0, method.reply_text))
            case commands.Connection.Blocked():
                self.blocked = method.reason or "no reason given"
            case commands.Connection.Unblocked():
                self.blocked = None
            case _:
                if self._waiting is not None and not self._waiting.done():
                    self._waiting.set_result(method)

    def _write_method(self, method: Method) -> None:
        self.write(write_method(0, method))

    def _flush(self) -> None:
        data, self._outgoing = b"".join(self._outgoing), []
        if data and not self.ended.done():
            self._last_sent = self._loop.time()
            self._transport.write(data)

    def _beat(self) -> None:
        now = self._loop.time()
        if now - self._last_received > 2 * self._heartbeat:
            silence = now - self._last_received
            self._end(ConnectionLost(f"the broker has been silent for {silence:.0f} s"))
            return
        if now - self._last_sent >= self._heartbeat / 2:
            self.write(HEARTBEAT_FRAME)
        self._beating = self._loop.call_later(self._heartbeat / 2, self._beat)

    def _end(self, error: AmqpError) -> None:
        if self.ended.done():
            return
        self.ended.set_result(error)
        if self._beating is not None:
            self._beating.cancel()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        for channel in tuple(self._channels.values()):
            channel.end(error)
        if isinstance(error, ConnectionLost):
            self._transport.abort()
        else:
            self._transport.close()


def _start_ok(target: Target) -> commands.Connection.StartOk:
    try:
        own_version = version("dispytch-rabbitmq")
    except PackageNotFoundError:
        own_version = "0"
    properties: dict[str, Any] = {
        "product": "dispytch",
        "version": own_version,
        "connection_name": target.name,
        "capabilities": CAPABILITIES,
    }
    response = f"\0{target.user}\0{target.password}"
    return commands.Connection.StartOk(properties, "PLAIN", response, "en_US")
