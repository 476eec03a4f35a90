"""One channel on which messages are published and confirmed."""

import asyncio
from collections.abc import Callable
from typing import Final

from dispytch.exceptions import MessageTooLarge, TransportError, Unroutable
from dispytch.rabbitmq.driver import (
    Channel,
    NotTaken,
    Returned,
    frame_max,
    header_size,
    when_ended,
)
from dispytch.rabbitmq.failures import AmqpError, translated_failures
from dispytch.rabbitmq.outgoing import Outgoing

WINDOW_MESSAGES: Final = 2000
WINDOW_BYTES: Final = 4 * 2**20

_OVERHEAD: Final = 8
"""The bytes of a frame around what is in it."""


class Publishing:
    """One channel on which messages are published and confirmed, until it ends: see `over`.

    At most 2,000 messages or, beyond the first, 4 MiB are on their way at once.
    """

    def __init__(self, progressed: Callable[[], None]) -> None:
        self.over: asyncio.Future[AmqpError] = asyncio.get_running_loop().create_future()
        self._progressed = progressed
        self._channel: Channel | None = None
        self._bytes = 0
        self._unconfirmed: dict[Outgoing, asyncio.Task[None]] = {}

    def start(self, channel: Channel) -> None:
        """Publish on an open channel that confirms."""
        self._channel = channel
        when_ended(channel, self._end)

    @property
    def unconfirmed(self) -> int:
        """How many messages are on their way."""
        return len(self._unconfirmed)

    @property
    def has_room(self) -> bool:
        """Whether another message may be published now."""
        return (
            self._channel is not None
            and not self.over.done()
            and len(self._unconfirmed) < WINDOW_MESSAGES
            and self._bytes < WINDOW_BYTES
        )

    def publish(self, message: Outgoing) -> None:
        """Send a message; its outcome comes with the broker's confirm, or with a new channel."""
        assert self._channel is not None
        publishing = self._published(self._channel, message)
        self._unconfirmed[message] = asyncio.create_task(publishing, name="dispytch-publish")
        self._bytes += len(message.body)

    def take_back(self) -> list[Outgoing]:
        """What has no outcome, oldest first, as the channel is dead: none is waited for longer."""
        messages = list(self._unconfirmed)
        for publishing in self._unconfirmed.values():
            publishing.cancel()
        self._unconfirmed.clear()
        self._bytes = 0
        return messages

    async def _published(self, channel: Channel, message: Outgoing) -> None:
        try:
            outcome = await self._outcome(channel, message)
        except AmqpError:
            return  # The channel is dead: the message is taken back.
        if self._unconfirmed.pop(message, None) is not None:
            self._bytes -= len(message.body)
            message.settle(outcome)
            self._progressed()

    async def _outcome(self, channel: Channel, message: Outgoing) -> TransportError | None:
        try:
            _check_size(message, frame_max(channel))
            message.sent = True
            with translated_failures():
                await self._confirmed(channel, message)
        except TransportError as error:
            return error
        except Exception as error:
            if isinstance(error, AmqpError):
                raise
            unwritable = TransportError(f"the message cannot be written for RabbitMQ: {error}")
            unwritable.__cause__ = error
            return unwritable
        return None

    async def _confirmed(self, channel: Channel, message: Outgoing) -> None:
        try:
            await channel.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                properties=message.properties,
                mandatory=message.mandatory,
                wait=False,
            )
        except Returned as error:
            raise Unroutable(_nowhere(message)) from error
        except NotTaken as error:
            raise TransportError(
                f"the broker refused the message to topic {message.topic!r} (nack): a queue is "
                "full and set to refuse more, or has failed; see the broker's log"
            ) from error

    def _end(self, error: AmqpError) -> None:
        if not self.over.done():
            self.over.set_result(error)


def _nowhere(message: Outgoing) -> str:
    if not message.exchange:
        return (
            f"delay queue {message.routing_key!r} is missing, so a message to {message.topic!r} "
            "cannot be kept back: make it, or use declare='auto'"
        )
    return (
        f"no queue is bound to exchange {message.exchange!r} for routing key "
        f"{message.routing_key!r}, so nobody would receive it: start a listener for this "
        "topic first, or set mandatory=False to have such messages dropped"
    )


def _check_size(message: Outgoing, limit: int) -> None:
    properties = message.properties
    headers = properties.headers or {}
    # Most are far below the limit, so that their size need not be counted out.
    rough = sum(len(name) + _length(value) for name, value in headers.items())
    if rough * 8 > limit and (size := header_size(properties)) + _OVERHEAD > limit:
        raise MessageTooLarge(
            f"the headers of a message to {message.topic!r} have {size} bytes and must fit into "
            f"one frame of {limit}: move something into the body, or raise frame_max of the broker"
        )


def _length(value: object) -> int:
    if isinstance(value, str | bytearray):
        return len(value)
    return len(str(value)) if isinstance(value, list) else 8  # pyright: ignore[reportUnknownArgumentType]
