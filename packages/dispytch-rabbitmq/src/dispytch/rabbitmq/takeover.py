"""Making the queues of a group, with the events in them that nobody took before; see `keeping`."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import uuid4

from dispytch.exceptions import TransportError
from dispytch.rabbitmq.bindings import takes
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.confirms import Confirms
from dispytch.rabbitmq.declaring import bind_queue, make_queue
from dispytch.rabbitmq.driver import (
    Channel,
    Delivered,
    NotTaken,
    Returned,
    close_channel,
    open_channel,
    properties_of,
)
from dispytch.rabbitmq.failures import (
    ACCESS_REFUSED,
    AmqpError,
    ChannelClosed,
    translated_failures,
)
from dispytch.rabbitmq.keeping import LockRefused, kept_keys, locked
from dispytch.rabbitmq.link import Link
from dispytch.rabbitmq.outgoing import Batch, Outgoing
from dispytch.rabbitmq.topology import GroupQueue, kept_queue

logger: logging.Logger = logging.getLogger("dispytch.rabbitmq")

WINDOW: Final = 500
"""How many events are on their way at once from the queue that kept them."""

LOCK_WITHIN: Final = 60.0
"""Seconds after which it is an error that somebody else has the lock."""

MOVES_WITHIN: Final = 30.0
"""Seconds in which the next event must come."""

ENDS_WITHIN: Final = 2.0
"""Seconds that a stop leaves to those on their way."""

_GHOST_LOOKS: Final = 100
_GHOST_PAUSE: Final = 0.1


async def make_queues(link: Link, queues: Sequence[GroupQueue], config: RabbitMQConfig) -> None:
    """Make and bind the queues of a group, with what was kept for them in front.

    link: of nobody else.

    Raises:
        TopologyError: a queue differs or may not be declared.
        BrokerUnreachable: somebody else keeps events, and does not come to an end.
        AmqpError: the connection has ended.
    """
    try:
        async with locked(link, config, LOCK_WITHIN):
            await _make_with_kept(link, queues, config)
    except LockRefused as error:
        logger.warning("events that nobody took stay where they are kept: %s", error)
        await _make(link, queues, config)


async def _make_with_kept(link: Link, queues: Sequence[GroupQueue], config: RabbitMQConfig) -> None:
    kept = await _kept_for(link, queues, config)
    if kept:
        await link.channel(lambda channel: _only_make(channel, queues, config))
    moved = [key for key, queue in kept.items() if await _moved(link, queue, key, config)]
    await _make(link, queues, config)
    if moved:
        await link.channel(lambda channel: _delete(channel, moved, config))
        await kept_keys(link, config, remove=moved)


async def _kept_for(
    link: Link, queues: Sequence[GroupQueue], config: RabbitMQConfig
) -> Mapping[str, GroupQueue]:
    """Of the keys for which events are kept, those that a queue takes, with that queue."""
    try:
        keys = await kept_keys(link, config)
    except ChannelClosed as error:
        if error.code != ACCESS_REFUSED:
            raise
        logger.warning("events that nobody took stay where they are kept: %s", error)
        return {}
    return {
        key: queue
        for key in sorted(keys)
        for queue in queues
        if any(takes(bound, key) for bound in queue.routing_keys)
    }


async def _moved(link: Link, queue: GroupQueue, key: str, config: RabbitMQConfig) -> bool:
    try:
        await _Move(queue, key, config).run(await open_channel(await link.connection()))
    except ChannelClosed as error:
        logger.error(
            "events that were kept for topic %s stay in queue %s until the next start: %s",
            key,
            kept_queue(config.exchange, key),
            error,
        )
        return False
    return True


async def _make(link: Link, queues: Sequence[GroupQueue], config: RabbitMQConfig) -> None:
    async def declare(channel: Channel) -> None:
        # All partitions before the first of them gets anything, or keys would change theirs.
        for queue in queues:
            await make_queue(channel, queue, config)
        for queue in queues:
            await bind_queue(channel, queue, config)
        await close_channel(channel)

    await link.channel(declare)


async def _only_make(
    channel: Channel, queues: Sequence[GroupQueue], config: RabbitMQConfig
) -> None:
    for queue in queues:
        await make_queue(channel, queue, config)
    await close_channel(channel)


async def _delete(channel: Channel, keys: Collection[str], config: RabbitMQConfig) -> None:
    with translated_failures():
        for key in keys:
            await channel.queue_delete(kept_queue(config.exchange, key))
    await close_channel(channel)


class _Move:
    """The events of one routing key, from the queue that kept them to one of a group.

    They go through an exchange that is there for nothing else, so that they have their own routing
    key, and come to nobody besides. It goes with its binding.
    """

    def __init__(self, queue: GroupQueue, key: str, config: RabbitMQConfig) -> None:
        self._queue = queue
        self._key = key
        self._user = config.user
        self._source = kept_queue(config.exchange, key)
        self._exchange = f"{config.exchange}.#.moving.{uuid4().hex}"
        self._arrived: asyncio.Queue[Delivered] = asyncio.Queue()
        self._sent: deque[tuple[int, asyncio.Future[object]]] = deque()

    async def run(self, channel: Channel) -> None:
        """Move all of them, in their order, on a channel of its own.

        Raises:
            ChannelClosed: the broker does not allow it.
            AmqpError: it failed this time; what has not been moved is still there.
        """
        with translated_failures():
            count = await self._ready(channel)
            if count:
                await self._open(channel)
                await self._move(Confirms(channel), channel, count)
                await self._close(channel)
        await close_channel(channel)
        logger.info(
            "%d events of topic %s that were kept have come to queue %s",
            count,
            self._key,
            self._queue.name,
        )

    async def _ready(self, channel: Channel) -> int:
        """How many there are, once whoever began to move them before is known to be gone."""
        for _ in range(_GHOST_LOOKS):
            counted = await channel.queue_declare(self._source, passive=True)
            if not counted.consumer_count:
                return counted.message_count or 0
            await asyncio.sleep(_GHOST_PAUSE)
        raise AmqpError(f"queue {self._source!r} has a consumer, which must not be")

    async def _open(self, channel: Channel) -> None:
        await channel.exchange_declare(self._exchange, exchange_type="fanout", auto_delete=True)
        if self._queue.hash_exchange is None:
            await channel.queue_bind(self._queue.name, self._exchange, self._key)
        else:
            await channel.exchange_bind(self._queue.hash_exchange, self._exchange, self._key)
        await channel.basic_qos(prefetch_count=WINDOW)
        await channel.basic_consume(self._source, self._arrived.put)

    async def _close(self, channel: Channel) -> None:
        if self._queue.hash_exchange is None:
            await channel.queue_unbind(self._queue.name, self._exchange, self._key)
        else:
            await channel.exchange_unbind(self._queue.hash_exchange, self._exchange, self._key)

    async def _move(self, confirms: Confirms, channel: Channel, count: int) -> None:
        try:
            for _ in range(count):
                if self._arrived.empty():
                    await self._settle(confirms, channel)
                async with asyncio.timeout(MOVES_WITHIN):
                    delivered = await self._arrived.get()
                message = self._message(delivered)
                if (twin := confirms.publisher.twin(message)) is not None:
                    await confirms.settled(twin)
                confirmation = confirms.publisher.publish(message)
                self._sent.append((delivered.delivery_tag or 0, confirmation))
            await self._settle(confirms, channel)
        except asyncio.CancelledError:
            await self._break_off(confirms, channel)
            raise
        except (Returned, NotTaken, TimeoutError, TransportError) as error:
            raise AmqpError(
                f"an event cannot be moved to {self._queue.name!r}: {error!r}"
            ) from error

    async def _break_off(self, confirms: Confirms, channel: Channel) -> None:
        """Have what is on its way end first: no event is moved a second time after a stop."""
        with contextlib.suppress(Returned, NotTaken, TimeoutError, TransportError, AmqpError):
            async with asyncio.timeout(ENDS_WITHIN):
                await self._settle(confirms, channel)
                # The answer comes once the queue has the acks.
                await channel.queue_declare(self._source, passive=True)

    async def _settle(self, confirms: Confirms, channel: Channel) -> None:
        """Have those that were sent acked, as far as the broker has confirmed them."""
        done: int | None = None
        try:
            while self._sent:
                tag, confirmation = self._sent[0]
                await confirms.wait(confirmation)
                done, _ = tag, self._sent.popleft()
        finally:
            if done is not None:
                await channel.basic_ack(done, multiple=True, wait=False)

    def _message(self, delivered: Delivered) -> Outgoing:
        properties, _ = properties_of(delivered.header)
        if properties.user_id != self._user:
            # It is not ours to give.
            properties.user_id = None
        return Outgoing(
            Batch(1), 0, self._key, self._exchange, self._key, True, properties, delivered.body
        )
