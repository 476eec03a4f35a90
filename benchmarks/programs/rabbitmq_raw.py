"""aio-pika by hand, as fast as it goes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pydantic import TypeAdapter

from ..job import Job
from ..workload import Measured, Order, Tally, orders
from .idling import idled
from .sending import from_tasks, in_batches

PREFETCH = 500
EXCHANGE = "dispytch"
ORDER = TypeAdapter(Order)


async def consume(job: Job) -> Measured:
    """A callback that validates, awaits the handler and acks each message."""
    tally = Tally(job.events)

    def get_tally() -> Tally:
        return tally

    async def handle(order: Order) -> None:
        get_tally().count(order)

    async def take(message: AbstractIncomingMessage) -> None:
        await handle(ORDER.validate_json(message.body))
        await message.ack()

    async with received(job, take):
        return await tally.measured()


async def iterate(job: Job) -> Measured:
    """The queue's iterator: validate, await the handler, ack each message."""
    tally = Tally(job.events)

    def get_tally() -> Tally:
        return tally

    async def handle(order: Order) -> None:
        get_tally().count(order)

    async with channel(job.url) as opened:
        await opened.set_qos(prefetch_count=PREFETCH)
        async with (await opened.get_queue(job.queue)).iterator() as messages:
            async for message in messages:
                await handle(ORDER.validate_json(message.body))
                await message.ack()
                if not tally.running:
                    break
        return await tally.measured()


async def idle(job: Job) -> Measured:
    """A consumer with nothing to do."""

    async def take(message: AbstractIncomingMessage) -> None:
        await message.ack()

    async with received(job, take):
        return await idled(job)


async def publish_many(job: Job) -> Measured:
    """A confirmed `publish` for each event of a batch, all at once."""
    async with channel(job.url) as opened:
        publish = await publisher(opened, job)

        async def send_many(batch: Sequence[Order]) -> None:
            await asyncio.gather(*map(publish, batch))

        return await in_batches(send_many, orders(job.events))


async def publish(job: Job) -> Measured:
    """A confirmed `publish`, from many tasks at once."""
    async with channel(job.url) as opened:
        return await from_tasks(await publisher(opened, job), orders(job.events))


async def publisher(opened: AbstractChannel, job: Job) -> Callable[[Order], Awaitable[object]]:
    """Publishes an order as a persistent message, and waits for the confirmation."""
    exchange = await opened.get_exchange(EXCHANGE)

    def publish(order: Order) -> Awaitable[object]:
        message = aio_pika.Message(
            ORDER.dump_json(order), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        return exchange.publish(message, job.topic, mandatory=True)

    return publish


@asynccontextmanager
async def received(
    job: Job, take: Callable[[AbstractIncomingMessage], Awaitable[None]]
) -> AsyncIterator[None]:
    """Have the messages of the job's queue taken."""
    async with channel(job.url) as opened:
        await opened.set_qos(prefetch_count=PREFETCH)
        await (await opened.get_queue(job.queue)).consume(take)
        yield


@asynccontextmanager
async def channel(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel with confirms, on a connection of its own."""
    async with await aio_pika.connect(plain(url)) as connection:
        yield await connection.channel(publisher_confirms=True, on_return_raises=True)


def plain(url: str) -> str:
    """The URL as the driver takes it."""
    return url.partition("?")[0].replace("rabbitmq://", "amqp://", 1)
