"""Making or checking what must stand at the broker, as the `Declare` mode says."""

from dispytch.exceptions import TopologyError
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.driver import Channel
from dispytch.rabbitmq.failures import (
    ACCESS_REFUSED,
    NOT_FOUND,
    PRECONDITION_FAILED,
    AmqpError,
    ChannelClosed,
    ClosedByBroker,
    translated_failures,
)
from dispytch.rabbitmq.topology import KEY_HEADER, ROSTER_ARGUMENTS, GroupQueue

HASH_EXCHANGE = "x-consistent-hash"
HASH_PLUGIN = "rabbitmq_consistent_hash_exchange"
EQUAL_WEIGHT = "1"
"""To a consistent-hash exchange, the routing key of a binding is its weight."""


async def declare_exchange(channel: Channel, config: RabbitMQConfig) -> None:
    """Make, or check, or leave alone the exchange that all messages go through.

    Raises:
        TopologyError: it is missing, differs, or may not be declared.
        AmqpError: the channel has ended for another reason.
    """
    if config.declare == "never":
        return
    passive = config.declare == "check"
    try:
        with translated_failures():
            await channel.exchange_declare(
                config.exchange, exchange_type="topic", passive=passive, durable=True
            )
    except ChannelClosed as error:
        raise translated(error, f"exchange {config.exchange!r}", config) from error


async def declare_queue(channel: Channel, queue: GroupQueue, config: RabbitMQConfig) -> None:
    """Make and bind, or check, or leave alone a queue of a group, and what it is a partition of.

    An exclusive queue is made whatever the mode: nobody else could make it. One that is former is
    left alone: it was seen to be there.

    Raises:
        TopologyError: it is missing, differs, or may not be declared.
        AmqpError: the channel has ended for another reason.
    """
    if queue.exclusive:
        await _declare_exclusive(channel, queue, config)
        return
    if config.declare == "never" or queue.is_former:
        return
    await make_queue(channel, queue, config)
    if config.declare == "auto":
        await bind_queue(channel, queue, config)


async def make_queue(channel: Channel, queue: GroupQueue, config: RabbitMQConfig) -> None:
    """Make or check a queue of a group, and what it is a partition of; nothing comes there yet.

    Raises:
        TopologyError, AmqpError: as `declare_queue` says.
    """
    passive = config.declare == "check"
    if queue.hash_exchange is not None:
        await _declare_hash_exchange(channel, queue.hash_exchange, config)
    arguments = {} if passive else queue.arguments
    try:
        with translated_failures():
            await channel.queue_declare(
                queue.name, passive=passive, durable=True, arguments=arguments
            )
            if queue.hash_exchange is not None and not passive:
                await channel.queue_bind(queue.name, queue.hash_exchange, EQUAL_WEIGHT)
    except ChannelClosed as error:
        raise translated(error, f"queue {queue.name!r}", config) from error


async def bind_queue(
    channel: Channel, queue: GroupQueue, config: RabbitMQConfig, exchange: str | None = None
) -> None:
    """Have what is sent under its routing keys come to a queue, or to what it is a partition of.

    exchange: where it is sent to; the exchange of all messages if not given.

    Raises:
        TopologyError, AmqpError: as `declare_queue` says.
    """
    source = exchange or config.exchange
    try:
        with translated_failures():
            for key in queue.routing_keys:
                if queue.hash_exchange is None:
                    await channel.queue_bind(queue.name, source, key)
                else:
                    await channel.exchange_bind(queue.hash_exchange, source, key)
    except ChannelClosed as error:
        raise translated(error, f"queue {queue.name!r}", config) from error


async def unbind_former(channel: Channel, queue: GroupQueue, config: RabbitMQConfig) -> None:
    """Have nothing more come to a queue whose topics another queue of the group takes in.

    Raises:
        TopologyError: it may not be done.
        AmqpError: the channel has ended for another reason.
    """
    try:
        with translated_failures():
            for key in queue.routing_keys:
                if queue.hash_exchange is None:
                    await channel.queue_unbind(queue.name, config.exchange, key)
                else:
                    await channel.exchange_unbind(queue.hash_exchange, config.exchange, key)
    except ChannelClosed as error:
        raise translated(error, f"queue {queue.name!r}", config) from error


async def declare_roster(channel: Channel, name: str, config: RabbitMQConfig) -> None:
    """Make or check the queue on which the members that share partitions are counted.

    Raises:
        TopologyError: it is missing, differs, or may not be declared.
        AmqpError: the channel has ended for another reason.
    """
    if config.declare == "never":
        return
    passive = config.declare == "check"
    arguments = {} if passive else ROSTER_ARGUMENTS
    try:
        with translated_failures():
            await channel.queue_declare(name, passive=passive, durable=True, arguments=arguments)
    except ChannelClosed as error:
        raise translated(error, f"queue {name!r}", config) from error


async def _declare_exclusive(channel: Channel, queue: GroupQueue, config: RabbitMQConfig) -> None:
    try:
        with translated_failures():
            await channel.queue_declare(queue.name, exclusive=True, arguments=queue.arguments)
            for key in queue.routing_keys:
                await channel.queue_bind(queue.name, config.exchange, key)
    except ChannelClosed as error:
        raise translated(error, f"queue {queue.name!r}", config) from error


async def _declare_hash_exchange(channel: Channel, name: str, config: RabbitMQConfig) -> None:
    passive = config.declare == "check"
    where = f"exchange {name!r}, which spreads keys over partitions,"
    try:
        with translated_failures():
            await channel.exchange_declare(
                name,
                exchange_type=HASH_EXCHANGE,
                passive=passive,
                durable=True,
                arguments={} if passive else {"hash-header": KEY_HEADER},
            )
    except ClosedByBroker as error:
        # Before 3.13 it closes the connection over a type that it does not know, since then the
        # channel.
        if "exchange type" in error.text:
            raise TopologyError(
                f"{where} cannot be made: RabbitMQ at {config.address} does not have the plugin "
                f"for it; run 'rabbitmq-plugins enable {HASH_PLUGIN}' there, or omit 'partitions' "
                f"({error.text})"
            ) from error
        if isinstance(error, ChannelClosed):
            raise translated(error, where, config) from error
        raise


def translated(
    error: ChannelClosed, what: str, config: RabbitMQConfig, *, made: bool = False
) -> TopologyError | AmqpError:
    """What the broker's refusal means; the refusal itself, where another attempt may help.

    made: it was declared just before. If it is missing all the same, it is being deleted, and can
        be made again once it is gone: RabbitMQ 4 tells its consumer before that.
    """
    where = f"{what} in virtual host {config.vhost!r} of RabbitMQ at {config.address}"
    if error.code == NOT_FOUND and "- no " in error.text and not made:
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
