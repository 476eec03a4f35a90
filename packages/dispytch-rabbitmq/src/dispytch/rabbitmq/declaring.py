"""Making or checking what must stand at the broker, as the `Declare` mode says."""

from pamqp import commands

from dispytch.exceptions import TopologyError
from dispytch.rabbitmq.amqp.channel import Channel
from dispytch.rabbitmq.amqp.errors import (
    ACCESS_REFUSED,
    NOT_FOUND,
    PRECONDITION_FAILED,
    AmqpError,
    ChannelClosed,
)
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.topology import GroupQueue


async def declare_exchange(channel: Channel, config: RabbitMQConfig) -> None:
    """Make, or check, or leave alone the exchange that all messages go through.

    Raises:
        TopologyError: it is missing, differs, or may not be declared.
        AmqpError: the channel has ended for another reason.
    """
    if config.declare == "never":
        return
    method = commands.Exchange.Declare(
        exchange=config.exchange,
        exchange_type="topic",
        passive=config.declare == "check",
        durable=True,
    )
    try:
        await channel.call(method, commands.Exchange.DeclareOk)
    except ChannelClosed as error:
        raise translated(error, f"exchange {config.exchange!r}", config) from error


async def declare_queue(channel: Channel, queue: GroupQueue, config: RabbitMQConfig) -> None:
    """Make and bind, or check, or leave alone the queue of a group.

    Raises:
        TopologyError: it is missing, differs, or may not be declared.
        AmqpError: the channel has ended for another reason.
    """
    if config.declare == "never":
        return
    passive = config.declare == "check"
    declare = commands.Queue.Declare(
        queue=queue.name,
        passive=passive,
        durable=True,
        arguments={} if passive else queue.arguments,
    )
    bind = commands.Queue.Bind(
        queue=queue.name, exchange=config.exchange, routing_key=queue.routing_key
    )
    try:
        await channel.call(declare, commands.Queue.DeclareOk)
        if not passive:
            await channel.call(bind, commands.Queue.BindOk)
    except ChannelClosed as error:
        raise translated(error, f"queue {queue.name!r}", config) from error


def translated(
    error: ChannelClosed, what: str, config: RabbitMQConfig
) -> TopologyError | AmqpError:
    """What the broker's refusal means; the refusal itself, where another attempt may help."""
    where = f"{what} in virtual host {config.vhost!r} of RabbitMQ at {config.address}"
    if error.code == NOT_FOUND and "- no " in error.text:
        return TopologyError(
            f"{where} is missing: declare it, or start with declare='auto' ({error.text})"
        )
    if error.code == PRECONDITION_FAILED:
        return TopologyError(
            f"{where} exists with other properties: delete it, choose the options that it was made "
            f"with, or use it as it is with declare='check' ({error.text})"
        )
    if error.code == ACCESS_REFUSED:
        return TopologyError(
            f"{where}: user {config.user!r} has not the permission; grant it, or let someone else "
            f"declare it and start with declare='check' ({error.text})"
        )
    return error
