"""One channel on which messages are published and confirmed."""

import asyncio
from collections.abc import Callable

from pamqp import commands

from dispytch.exceptions import MessageTooLarge, TransportError, Unroutable
from dispytch.rabbitmq.amqp import frames
from dispytch.rabbitmq.amqp.channel import Channel, ChannelEvents
from dispytch.rabbitmq.amqp.errors import AmqpError
from dispytch.rabbitmq.amqp.frames import Returned, Settled
from dispytch.rabbitmq.outgoing import Outgoing, Unconfirmed

WINDOW_MESSAGES = 2000
WINDOW_BYTES = 4 * 2**20


class Publishing(ChannelEvents):
    """One channel on which messages are published and confirmed, until it ends: see `over`.

    At most 2,000 messages or, beyond the first, 4 MiB are on their way at once.
    """

    def __init__(self, exchange: str, progressed: Callable[[], None]) -> None:
        self.over: asyncio.Future[AmqpError] = asyncio.get_running_loop().create_future()
        self.unconfirmed = Unconfirmed()
        self._exchange = exchange
        self._encoded_exchange = exchange.encode()
        self._progressed = progressed
        self._channel: Channel | None = None

    async def start(self, channel: Channel) -> None:
        """Have an open channel, whose events come here, confirm what is published on it.

        Raises:
            AmqpError: the channel has ended.
        """
        await channel.call(commands.Confirm.Select(), commands.Confirm.SelectOk)
        self._channel = channel

    @property
    def has_room(self) -> bool:
        """Whether another message may be published now."""
        return (
            self._channel is not None
            and not self.over.done()
            and not self._channel.paused
            and self.unconfirmed.count < WINDOW_MESSAGES
            and self.unconfirmed.size < WINDOW_BYTES
        )

    def publish(self, message: Outgoing) -> None:
        """Send a message; its outcome comes with the broker's confirm, or with a new channel."""
        assert self._channel is not None
        frame_max = self._channel.frame_max
        if len(message.header) + frames.FRAME_OVERHEAD > frame_max:
            message.settle(
                MessageTooLarge(
                    f"the headers have {len(message.header)} bytes; they must fit into one frame "
                    f"of {frame_max} (frame_max of the broker)"
                )
            )
            return
        message.sent = True
        self.unconfirmed.add(message)
        self._channel.write(
            frames.publish(
                self._channel.number,
                self._encoded_exchange,
                message.routing_key,
                mandatory=message.mandatory,
                header=message.header,
                body=message.body,
                frame_max=frame_max,
            )
        )

    def settled(self, settled: Settled) -> None:
        """The broker has taken, or refused, messages."""
        for message in self.unconfirmed.settle(settled):
            message.settle(self._outcome(message, settled.accepted))
        self._progressed()

    def returned(self, returned: Returned, header: bytes, body: bytes) -> None:
        """No queue takes a message; its confirm follows."""
        self.unconfirmed.give_back(returned, header, body)

    def resumed(self) -> None:
        """The connection takes writes again."""
        self._progressed()

    def ended(self, error: AmqpError) -> None:
        """The channel is dead."""
        if not self.over.done():
            self.over.set_result(error)

    def _outcome(self, message: Outgoing, accepted: bool) -> TransportError | None:
        if message.returned is not None:
            return Unroutable(
                f"no queue is bound to exchange {self._exchange!r} for routing key "
                f"{message.returned.routing_key!r}, so nobody would receive it: start a listener "
                "for this topic first, or set mandatory=False to have such messages dropped"
            )
        if not accepted:
            return TransportError(
                f"the broker refused the message to topic {message.topic!r} (nack): a queue is "
                "full and set to refuse more, or has failed; see the broker's log"
            )
        return None
