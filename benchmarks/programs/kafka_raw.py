"""aiokafka by hand, as fast as it goes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import murmur2
from pydantic import TypeAdapter

from ..job import Job
from ..workload import Measured, Order, Tally, orders
from .idling import idled
from .sending import from_tasks, in_batches

COMMIT_EVERY = 0.5
ORDER = TypeAdapter(Order)


async def consume(job: Job) -> Measured:
    """See `received`."""
    tally = Tally(job.events)

    def get_tally() -> Tally:
        return tally

    async def handle(order: Order) -> None:
        get_tally().count(order)

    async with consumer(job) as driver:
        await received(driver, handle, lambda: tally.running)
        return await tally.measured()


async def idle(job: Job) -> Measured:
    """A loop with nothing to do."""
    async with consumer(job) as driver:

        async def run(seconds: float) -> None:
            end = time.monotonic() + seconds
            await received(driver, _nothing, lambda: time.monotonic() < end)

        return await idled(job, run)


async def received(
    driver: AIOKafkaConsumer,
    handle: Callable[[Order], Awaitable[object]],
    going: Callable[[], bool],
) -> None:
    """`getmany`, validate, await the handler; commit what is done twice a second."""
    done, due = {}, time.monotonic() + COMMIT_EVERY
    while going():
        for partition, records in (await driver.getmany(timeout_ms=200)).items():
            for record in records:
                await handle(ORDER.validate_json(record.value))
            done[partition] = record.offset + 1
        if done and time.monotonic() >= due:
            await driver.commit(done)
            done, due = {}, time.monotonic() + COMMIT_EVERY
    if done:
        await driver.commit(done)


async def send(job: Job) -> Measured:
    """An idempotent `send` for each event of a batch, and all of their confirmations."""
    async with producer(job) as driver:

        async def send_many(batch: Sequence[Order]) -> None:
            confirmations = [
                await driver.send(job.topic, ORDER.dump_json(order), key=order.customer.id.encode())
                for order in batch
            ]
            await asyncio.gather(*confirmations)

        return await in_batches(send_many, orders(job.events))


async def send_batch(job: Job) -> Measured:
    """The driver's batches, filled by hand: nothing in aiokafka is faster."""
    async with producer(job) as driver:
        partitions = sorted(await driver.partitions_for(job.topic))
        batches = _Batches(driver, job.topic, partitions)

        async def send_many(batch: Sequence[Order]) -> None:
            for order in batch:
                await batches.append(order.customer.id.encode(), ORDER.dump_json(order))
            await batches.confirmed()

        return await in_batches(send_many, orders(job.events))


async def send_and_wait(job: Job) -> Measured:
    """`send_and_wait`, from many tasks at once."""
    async with producer(job) as driver:

        async def send_one(order: Order) -> None:
            await driver.send_and_wait(
                job.topic, ORDER.dump_json(order), key=order.customer.id.encode()
            )

        return await from_tasks(send_one, orders(job.events))


@asynccontextmanager
async def consumer(job: Job) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of the group that commits by hand."""
    async with AIOKafkaConsumer(
        job.topic,
        bootstrap_servers=job.address,
        group_id=job.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as driver:
        yield driver


@asynccontextmanager
async def producer(job: Job) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer."""
    async with AIOKafkaProducer(
        bootstrap_servers=job.address, enable_idempotence=True, acks="all"
    ) as driver:
        yield driver


async def _nothing(order: Order) -> None: ...


class _Batches:
    """A batch for each partition; a full one is sent while the next is filled."""

    def __init__(self, driver: AIOKafkaProducer, topic: str, partitions: list[int]) -> None:
        self._driver, self._topic, self._partitions = driver, topic, partitions
        self._open = {}
        self._sent = []

    async def append(self, key: bytes, value: bytes) -> None:
        partition = self._partitions[(murmur2(key) & 0x7FFFFFFF) % len(self._partitions)]
        batch = self._open.get(partition) or self._driver.create_batch()
        if batch.append(key=key, value=value, timestamp=None) is None:
            await self._send(partition, batch)
            batch = self._driver.create_batch()
            batch.append(key=key, value=value, timestamp=None)
        self._open[partition] = batch

    async def confirmed(self) -> None:
        for partition, batch in self._open.items():
            await self._send(partition, batch)
        sent, self._open, self._sent = self._sent, {}, []
        await asyncio.gather(*sent)

    async def _send(self, partition: int, batch: object) -> None:
        batch.close()
        self._sent.append(await self._driver.send_batch(batch, self._topic, partition=partition))
