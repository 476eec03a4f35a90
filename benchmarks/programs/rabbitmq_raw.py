"""aio-pika by hand, as fast as it goes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pydantic import TypeAdapter

from ..job import Job
from ..workload import Measured, Order, Tally, orders
from .sending import from_tasks, in_batches

PREFETCH = 500
EXCHANGE = "dispytch"
ORDER = TypeAdapter(Order)


async def handle(order: Order, tally: Tally) -> None:
    """What the handlers of the other sides do."""
    tally.count(order)


async def consume(job: Job) -> Measured:
    """A callback that validates, awaits the handler and acks each message."""
    tally = Tally(job.events)

    def get_tally() -> Tally:
        return tally

    async def take(message: AbstractIncomingMessage) -> None:
        if tally.running:
            await handle(ORDER.validate_json(message.body), get_tally())
            await message.ack()

    async with channel(job.url) as opened:
        await opened.set_qos(prefetch_count=PREFETCH)
        queue = await opened.get_queue(job.queue)
        await queue.consume(take)
        return await tally.measured()


async def iterate(job: Job) -> Measured:
    """The queue's iterator: validate, await the handler, ack each message."""
    tally = Tally(job.events)

    def get_tally() -> Tally:
        return tally

    async with channel(job.url) as opened:
        await opened.set_qos(prefetch_count=PREFETCH)
        queue = await opened.get_queue(job.queue)
        async with queue.iterator() as messages:
            async for message in messages:
                await handle(ORDER.validate_json(message.body), get_tally())
                await message.ack()
                if not tally.running:
                    break
        return await tally.measured()


async def publish_many(job: Job) -> Measured:
    """A confirmed `publish` for each event of a batch, all at once."""
    async with channel(job.url) as opened:
        exchange = await opened.get_exchange(EXCHANGE)

        async def send_many(batch: Sequence[Order]) -> None:
            await asyncio.gather(
                *(exchange.publish(_message(order), job.topic, mandatory=True) for order in batch)
            )

        return await in_batches(send_many, list(orders(job.events)))


async def publish(job: Job) -> Measured:
    """A confirmed `publish`, from many tasks at once."""
    async with channel(job.url) as opened:
        exchange = await opened.get_exchange(EXCHANGE)

        async def send_one(order: Order) -> None:
            await exchange.publish(_message(order), job.topic, mandatory=True)

        return await from_tasks(send_one, list(orders(job.events)))


@asynccontextmanager
async def channel(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel with confirms, on a connection of its own."""
    plain = url.partition("?")[0].replace("rabbitmq://", "amqp://", 1)
    async with await aio_pika.connect(plain) as connection:
        yield await connection.channel(publisher_confirms=True, on_return_raises=True)


def _message(order: Order) -> aio_pika.Message:
    return aio_pika.Message(ORDER.dump_json(order), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
