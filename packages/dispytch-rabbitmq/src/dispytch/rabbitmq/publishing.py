"""One channel on which messages are published and confirmed."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from dispytch.exceptions import TransportError, Unroutable, Unsendable
from dispytch.rabbitmq.driver import Channel, NotTaken, Returned, when_ended
from dispytch.rabbitmq.failures import AmqpError
from dispytch.rabbitmq.outgoing import Outgoing
from dispytch.rabbitmq.publisher import Publisher

WINDOW_MESSAGES: Final = 2000
WINDOW_BYTES: Final = 4 * 2**20


class Publishing:
    """One channel on which messages are published and confirmed, until it ends: see `over`.

    At most 2,000 messages or, beyond the first, 4 MiB are on their way at once.
    """

    def __init__(
        self,
        progressed: Callable[[], None],
        concluded: Callable[[Outgoing, bool], None] | None = None,
    ) -> None:
        """One channel, to be started.

        concluded: is told of each message that would be kept whether it has come back; one that
            has gets no outcome here.
        """
        self.over: asyncio.Future[AmqpError] = asyncio.get_running_loop().create_future()
        self._progressed = progressed
        self._concluded = concluded
        self._publisher: Publisher | None = None
        self._bytes = 0
        self._unconfirmed: dict[Outgoing, None] = {}

    def start(self, channel: Channel) -> None:
        """Publish on an open channel that confirms."""
        self._publisher = Publisher(channel)
        when_ended(channel, self._end)

    @property
    def unconfirmed(self) -> int:
        """How many messages are on their way."""
        return len(self._unconfirmed)

    @property
    def has_room(self) -> bool:
        """Whether another message may be published now."""
        return (
            self._publisher is not None
            and not self.over.done()
            and len(self._unconfirmed) < WINDOW_MESSAGES
            and self._bytes < WINDOW_BYTES
        )

    def has_twin(self, message: Outgoing) -> bool:
        """Whether a message with the same id is on its way, so that this one has to wait."""
        return self._publisher is not None and self._publisher.twin(message) is not None

    def publish(self, message: Outgoing) -> None:
        """Send a message; its outcome comes with the broker's confirm, or with a new channel."""
        assert self._publisher is not None
        message.sent = True
        try:
            confirmation = self._publisher.publish(message)
        except TransportError as error:
            message.settle(error)
        except Exception as error:
            unwritable = Unsendable(f"the message cannot be written for RabbitMQ: {error}")
            unwritable.__cause__ = error
            message.settle(unwritable)
        else:
            self._unconfirmed[message] = None
            self._bytes += len(message.body)
            confirmation.add_done_callback(partial(self._confirmed, message))

    def take_back(self) -> list[Outgoing]:
        """What has no outcome, oldest first, as the channel is dead: none is waited for longer."""
        messages = list(self._unconfirmed)
        self._unconfirmed.clear()
        self._bytes = 0
        return messages

    def _confirmed(self, message: Outgoing, confirmation: asyncio.Future[object]) -> None:
        error = confirmation.exception()
        if message not in self._unconfirmed or not isinstance(error, Returned | NotTaken | None):
            return  # The channel is dead: the message was taken back, or will be.
        del self._unconfirmed[message]
        self._bytes -= len(message.body)
        returned = isinstance(error, Returned)
        if message.keeps and self._concluded is not None:
            if not returned:
                message.settle(None if error is None else _refusal(message, error))
            self._concluded(message, returned)
        else:
            message.settle(None if error is None else _refusal(message, error))
        self._progressed()

    def _end(self, error: AmqpError) -> None:
        if self._publisher is not None:
            self._publisher.close()
        if not self.over.done():
            self.over.set_result(error)


def _refusal(message: Outgoing, error: Returned | NotTaken) -> TransportError:
    if isinstance(error, Returned):
        refusal: TransportError = Unroutable(_nowhere(message))
    else:
        refusal = TransportError(
            f"the broker refused the message to topic {message.topic!r} (nack): a queue is full "
            "and set to refuse more, or has failed; see the broker's log"
        )
    refusal.__cause__ = error
    return refusal


def _nowhere(message: Outgoing) -> str:
    if not message.exchange:
        return (
            f"delay queue {message.routing_key!r} is missing, so a message to {message.topic!r} "
            "cannot be kept back: make it, or use declare='auto'"
        )
    return (
        f"no queue is bound to exchange {message.exchange!r} for routing key "
        f"{message.routing_key!r}, so nobody would receive it: start a listener for this "
        "topic first, or use unroutable='keep' to have such messages wait for one, or 'drop'"
    )
