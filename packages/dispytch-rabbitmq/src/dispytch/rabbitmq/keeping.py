"""Events that nobody takes yet: who may keep or take them over, and where they are.

An event that comes back, as no queue takes it, is stored in a durable queue of its routing key. The
first group that comes to the topic moves what is there into its own queue before that is bound:
so it has everything in order, and then what is new. Both happen under one lock for each exchange,
which makes it impossible that an event is kept after the group has looked: whoever keeps asks
again, under the lock, whether there is a queue now, and groups make their queues under it.

The lock is an exclusive queue: one connection has it, and it goes with that connection. As AMQP
has no way to list queues, the routing keys for which there are events are kept in a queue as well,
the index. An entry is there before the queue that it stands for, and goes after it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Final

from dispytch.exceptions import BrokerUnreachable, TopologyError
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.declaring import translated
from dispytch.rabbitmq.driver import Channel, Delivered, close_channel
from dispytch.rabbitmq.failures import (
    ACCESS_REFUSED,
    LOCKED,
    NOT_FOUND,
    PRECONDITION_FAILED,
    AmqpError,
    ChannelClosed,
    translated_failures,
)
from dispytch.rabbitmq.link import Link, backoff
from dispytch.rabbitmq.topology import (
    KEPT_TOPICS,
    keeping_lock,
    kept_arguments,
    kept_index,
)

ENTRY_WITHIN: Final = 5.0
"""Seconds in which each entry of the index must come."""


class Held(BrokerUnreachable):
    """Somebody else keeps or takes over events, and does not come to an end."""


class LockRefused(TopologyError):
    """The user may not declare the lock."""


@asynccontextmanager
async def locked(link: Link, config: RabbitMQConfig, within: float) -> AsyncGenerator[None]:
    """Be the only one who keeps or takes over events of this exchange.

    link: of nobody else, as the lock belongs to its connection.

    Raises:
        Held: not within so many seconds.
        LockRefused: the user may not declare the lock.
        AmqpError: the connection has ended.
    """
    name = keeping_lock(config.exchange)
    await _lock(link, config, name, time.monotonic() + within)
    try:
        yield
    finally:
        # Whatever has become of the connection: without it, there is no lock either.
        with suppress(AmqpError):
            await link.channel(lambda channel: _delete(channel, name))


async def kept_keys(link: Link, config: RabbitMQConfig, remove: Collection[str] = ()) -> set[str]:
    """The routing keys for which events are kept; call it under the lock.

    remove: those that are to be there no more.

    Raises:
        AmqpError: the connection has ended.
    """
    found: set[str] = set()

    async def read(channel: Channel) -> None:
        count = await _count(channel, kept_index(config.exchange))
        if count:
            found.update(await _entries(channel, kept_index(config.exchange), count, remove))
        await close_channel(channel)

    with suppress(_Missing):
        await link.channel(read)
    return found.difference(remove)


async def declare_kept(channel: Channel, name: str, config: RabbitMQConfig, events: int) -> None:
    """Make a queue that keeps so many messages; one that is there with other bounds is used.

    Raises:
        TopologyError: it may not be declared.
        AmqpError: the channel has ended; with `PRECONDITION_FAILED` where it is there.
    """
    try:
        with translated_failures():
            arguments = kept_arguments(config.queue_type, events)
            await channel.queue_declare(name, durable=True, arguments=arguments)
    except ChannelClosed as error:
        if error.code != PRECONDITION_FAILED:
            raise translated(error, f"queue {name!r}", config) from error


async def declare_index(channel: Channel, config: RabbitMQConfig) -> None:
    """Make the index; see `declare_kept`."""
    await declare_kept(channel, kept_index(config.exchange), config, KEPT_TOPICS)


class _Missing(AmqpError):
    """There is no index, so nothing is kept."""


async def _lock(link: Link, config: RabbitMQConfig, name: str, deadline: float) -> None:
    for wait in backoff(first=0.01, most=0.25):
        try:
            await link.channel(lambda channel: _declare_lock(channel, name))
        except ChannelClosed as error:
            if error.code != LOCKED:
                if error.code == ACCESS_REFUSED:
                    raise LockRefused(str(translated(error, f"queue {name!r}", config))) from error
                raise
        else:
            return
        if time.monotonic() + wait > deadline:
            raise Held(
                f"queue {name!r} at RabbitMQ at {config.address} is held by another connection, "
                "which stores or takes over events that nobody took, and does not come to an end: "
                "see who it is in the broker's list of connections, and end it"
            )
        await asyncio.sleep(wait)


async def _declare_lock(channel: Channel, name: str) -> None:
    with translated_failures():
        await channel.queue_declare(name, exclusive=True, arguments={"x-queue-type": "classic"})
    await close_channel(channel)


async def _delete(channel: Channel, name: str) -> None:
    with translated_failures():
        await channel.queue_delete(name)
    await close_channel(channel)


async def _count(channel: Channel, name: str) -> int:
    try:
        with translated_failures():
            counted = await channel.queue_declare(name, passive=True)
    except ChannelClosed as error:
        if error.code == NOT_FOUND:
            raise _Missing(str(error)) from error
        raise
    return counted.message_count or 0


async def _entries(
    channel: Channel, name: str, count: int, remove: Collection[str]
) -> Collection[str]:
    """Look at every entry; those that are not removed go back when the channel is closed."""
    found: set[str] = set()
    await _each_of(channel, name, count, lambda entry: _look(channel, entry, found, remove))
    return found


async def _look(
    channel: Channel, entry: Delivered, found: set[str], remove: Collection[str]
) -> None:
    key = entry.body.decode("utf-8", "replace")
    found.add(key)
    if key in remove and entry.delivery_tag is not None:
        await channel.basic_ack(entry.delivery_tag, wait=False)


async def _each_of(
    channel: Channel, name: str, count: int, look: Callable[[Delivered], Awaitable[None]]
) -> None:
    arrived: asyncio.Queue[Delivered] = asyncio.Queue()
    with translated_failures(), suppress(TimeoutError):
        await channel.basic_consume(name, arrived.put)
        for _ in range(count):
            async with asyncio.timeout(ENTRY_WITHIN):
                entry = await arrived.get()
            await look(entry)
