"""RabbitMQ by hand, with aio-pika."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel
from pydantic import TypeAdapter

from dispytch.rabbitmq import RabbitMQBackend

from ..orders import Order
from ..stopwatch import Stopwatch
from . import Send

PREFETCH = 1_000


class RawRabbitMQ:
    """aio-pika's queue iterator, an ack per message; and its confirmed `publish`, gathered."""

    name = "aio-pika"

    def __init__(self, url: str) -> None:
        self._config = RabbitMQBackend.from_url(url).config

    async def consume(self, topic: str, group: str, events: int) -> float:
        """See `Raw`."""
        stopwatch, adapter = Stopwatch(events), TypeAdapter(Order)
        async with self._channel() as channel:
            await channel.set_qos(prefetch_count=PREFETCH)
            queue = await channel.get_queue(_queue(topic, group))
            async with queue.iterator() as messages:
                async for message in messages:
                    await stopwatch.handle(adapter.validate_json(message.body))
                    await message.ack()
                    if not stopwatch.running:
                        break
            return await stopwatch.seconds()

    @asynccontextmanager
    async def sender(self, topic: str) -> AsyncIterator[Send]:
        """See `Raw`."""
        async with self._channel() as channel:
            exchange = await channel.get_exchange(self._config.exchange)

            async def publish(order: Order) -> None:
                message = aio_pika.Message(
                    order.model_dump_json().encode(),
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                )
                await exchange.publish(message, topic, mandatory=True)

            async def send(orders: Sequence[Order]) -> None:
                await asyncio.gather(*(publish(order) for order in orders))

            yield send

    async def forget(self, topic: str, group: str) -> None:
        """See `Raw`."""
        async with self._channel() as channel:
            await channel.queue_delete(_queue(topic, group))

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        config = self._config
        connection = await aio_pika.connect(
            host=config.host,
            port=config.effective_port,
            login=config.user,
            password=config.password.get_secret_value(),
            virtualhost=config.vhost,
        )
        async with connection:
            yield await connection.channel(publisher_confirms=True, on_return_raises=True)


def _queue(topic: str, group: str) -> str:
    return f"{topic}:{group}"
