"""What the broker says when it closes a channel because of a message that was sent on it."""

from typing import TypeGuard

from dispytch.exceptions import MessageTooLarge, TransportError
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.failures import (
    MALFORMED,
    NOT_FOUND,
    AmqpError,
    ChannelClosed,
    ClosedByBroker,
    ConnectionClosed,
)
from dispytch.rabbitmq.outgoing import Outgoing


def is_about_a_message(error: AmqpError, config: RabbitMQConfig) -> TypeGuard[ClosedByBroker]:
    """Whether it was one of the messages that the broker did not like."""
    if isinstance(error, ConnectionClosed):
        return error.code in MALFORMED
    if not isinstance(error, ChannelClosed):
        return False
    # A missing exchange is declared together with the next channel.
    return not (error.code == NOT_FOUND and config.declare == "auto")


def refused(message: Outgoing, error: ClosedByBroker, config: RabbitMQConfig) -> TransportError:
    """The failure of a message that was alone when its channel was closed."""
    if "larger than" in error.text:
        return MessageTooLarge(
            f"a message to {message.topic!r} is too large for RabbitMQ at {config.address}: send "
            f"less, or raise max_message_size of the broker ({error.text})"
        )
    if error.code == NOT_FOUND:
        return TransportError(
            f"exchange {config.exchange!r} is missing at {config.address}: make it, or use "
            f"declare='auto' ({error.text})"
        )
    return TransportError(f"the broker refused the message: {error}")
