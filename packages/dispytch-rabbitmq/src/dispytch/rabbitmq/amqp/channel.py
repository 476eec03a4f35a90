"""One channel: calls and their answers, messages with their content, and its end."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from pamqp import commands

from dispytch.rabbitmq.amqp import frames
from dispytch.rabbitmq.amqp.errors import AmqpError, ChannelClosed, ClosedByUs
from dispytch.rabbitmq.amqp.frames import Delivered, Returned, Settled
from dispytch.rabbitmq.amqp.methods import Method, read_method, write_method

Answer = TypeVar("Answer", bound=Method)


class Wire(Protocol):
    """What a channel needs of its connection."""

    frame_max: int
    paused: bool

    def write(self, data: bytes) -> None:
        """Send these bytes, after those before them."""
        ...

    def release(self, number: int) -> None:
        """The channel of this number has ended."""
        ...


class ChannelEvents:
    """What happens on a channel, called synchronously, in the order of the wire."""

    def delivered(self, delivered: Delivered, header: bytes, body: bytes) -> None:
        """A message for a consumer."""

    def returned(self, returned: Returned, header: bytes, body: bytes) -> None:
        """A mandatory message that no queue takes; its confirm follows."""

    def settled(self, settled: Settled) -> None:
        """The broker has taken, or refused, published messages."""

    def cancelled(self) -> None:
        """The broker has ended the consumer: its queue is gone."""

    def resumed(self) -> None:
        """The connection takes writes again."""

    def ended(self, error: AmqpError) -> None:
        """The channel is dead, and nothing else will happen on it."""


class Channel:
    """One channel of a connection, from its opening to its end."""

    def __init__(self, number: int, wire: Wire, events: ChannelEvents) -> None:
        self.number = number
        self.error: AmqpError | None = None
        self._wire = wire
        self._events = events
        self._answers: deque[asyncio.Future[Method]] = deque()
        self._content: tuple[Callable[[bytes, bytes], None], bytes, int] | None = None
        self._body: list[bytes] = []

    @property
    def frame_max(self) -> int:
        """The largest frame that may be sent, in bytes, its 8 of overhead included."""
        return self._wire.frame_max

    @property
    def paused(self) -> bool:
        """Whether so much is unsent that writers should wait for `ChannelEvents.resumed`."""
        return self._wire.paused

    def write(self, data: bytes) -> None:
        """Send the bytes of whole frames; without effect once the channel has ended."""
        if self.error is None:
            self._wire.write(data)

    async def call(self, method: Method, answer: type[Answer]) -> Answer:
        """Send a method and wait for its answer.

        Raises:
            AmqpError: the channel or the connection has ended.
        """
        if self.error is not None:
            raise self.error
        waiting: asyncio.Future[Method] = asyncio.get_running_loop().create_future()
        self._answers.append(waiting)
        self._wire.write(write_method(self.number, method))
        answered = await waiting
        if not isinstance(answered, answer):
            raise AmqpError(f"expected {answer.name}, got {answered.name}")
        return answered

    async def close(self) -> None:
        """Close the channel; what is unacknowledged goes back to its queue."""
        if self.error is None:
            await self.call(commands.Channel.Close(200, "", 0, 0), commands.Channel.CloseOk)
            self.end(ClosedByUs("the channel was closed"))

    def end(self, error: AmqpError) -> None:
        """Take note that the channel is dead."""
        if self.error is not None:
            return
        self.error = error
        self._wire.release(self.number)
        while self._answers:
            waiting = self._answers.popleft()
            if not waiting.done():
                waiting.set_exception(error)
        self._events.ended(error)

    def resumed(self) -> None:
        """The connection takes writes again."""
        self._events.resumed()

    def receive(self, frame_type: int, payload: bytes) -> None:
        """Take in a frame."""
        if frame_type == frames.METHOD:
            self._receive_method(payload)
        elif frame_type == frames.HEADER:
            self._receive_header(payload)
        elif frame_type == frames.BODY:
            self._receive_body(payload)

    def _receive_method(self, payload: bytes) -> None:
        match payload[:4]:
            case frames.BASIC_DELIVER:
                delivered = frames.read_deliver(payload)
                self._expect_content(lambda h, b: self._events.delivered(delivered, h, b))
            case frames.BASIC_ACK | frames.BASIC_NACK:
                self._events.settled(frames.read_settled(payload))
            case frames.BASIC_RETURN:
                returned = frames.read_return(payload)
                self._expect_content(lambda h, b: self._events.returned(returned, h, b))
            case frames.BASIC_CANCEL:
                self._events.cancelled()
            case frames.CHANNEL_CLOSE:
                self._receive_close(payload)
            case _:
                self._receive_answer(read_method(payload))

    def _receive_close(self, payload: bytes) -> None:
        close = read_method(payload)
        assert isinstance(close, commands.Channel.Close)
        self._wire.write(write_method(self.number, commands.Channel.CloseOk()))
        self.end(ChannelClosed(close.reply_code or 0, close.reply_text))

    def _receive_answer(self, method: Method) -> None:
        if self._answers:
            waiting = self._answers.popleft()
            if not waiting.done():
                waiting.set_result(method)

    def _expect_content(self, take: Callable[[bytes, bytes], None]) -> None:
        self._content = (take, b"", 0)

    def _receive_header(self, payload: bytes) -> None:
        if self._content is not None:
            size = int.from_bytes(payload[4:12])
            self._content = (self._content[0], payload, size)
            if size == 0:
                self._complete(b"")

    def _receive_body(self, payload: bytes) -> None:
        if self._content is None:
            return
        missing = self._content[2] - len(payload)
        if missing <= 0 and not self._body:
            self._complete(payload)
            return
        self._body.append(payload)
        self._content = (self._content[0], self._content[1], missing)
        if missing <= 0:
            self._complete(b"".join(self._body))

    def _complete(self, body: bytes) -> None:
        assert self._content is not None
        take, header, _ = self._content
        self._content = None
        self._body.clear()
        take(header, body)
