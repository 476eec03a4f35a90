"""FastStream on Kafka, at its fastest.

Its line in the log for every message is off; errors are logged, as usual. The dependency is async,
as FastStream sends others to a thread.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated

from faststream import AckPolicy, Depends
from faststream.kafka import KafkaBroker, KafkaMessage

from ..job import Job
from ..workload import Measured, Order, Tally, orders
from .sending import from_tasks, in_batches

COMMIT_EVERY = 500


def broker_for(job: Job) -> KafkaBroker:
    """A broker with FastStream's defaults but for the log of every message."""
    return KafkaBroker(job.address, log_level=logging.DEBUG)


async def consume(job: Job) -> Measured:
    """One call of the handler per message; the options go to the subscriber.

    ack: a name of `AckPolicy`; ``first`` is what FastStream does by default on Kafka.
    """
    broker, tally = broker_for(job), Tally(job.events)
    options = dict(job.options)
    policy = AckPolicy[options.pop("ack")]

    async def get_tally() -> Tally:
        return tally

    @broker.subscriber(
        job.topic,
        group_id=job.group,
        auto_offset_reset="earliest",
        ack_policy=policy,
        **options,
    )
    async def handle(order: Order, tally: Annotated[Tally, Depends(get_tally, cast=False)]) -> None:
        tally.count(order)

    return await _measured(broker, tally)


async def consume_committing_by_hand(job: Job) -> Measured:
    """At-least-once, with a commit for every 500 messages written into the handler."""
    broker, tally = broker_for(job), Tally(job.events)

    async def get_tally() -> Tally:
        return tally

    @broker.subscriber(
        job.topic, group_id=job.group, auto_offset_reset="earliest", ack_policy=AckPolicy.MANUAL
    )
    async def handle(
        order: Order, message: KafkaMessage, tally: Annotated[Tally, Depends(get_tally, cast=False)]
    ) -> None:
        tally.count(order)
        if order.number % COMMIT_EVERY == 0:
            await message.ack()

    return await _measured(broker, tally)


async def consume_batches(job: Job) -> Measured:
    """At-least-once, with one call of the handler per batch."""
    broker, tally = broker_for(job), Tally(job.events)

    async def get_tally() -> Tally:
        return tally

    @broker.subscriber(
        job.topic,
        group_id=job.group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        batch=True,
        **job.options,
    )
    async def handle(
        orders: list[Order], tally: Annotated[Tally, Depends(get_tally, cast=False)]
    ) -> None:
        tally.begin()
        for order in orders:
            tally.count(order)

    return await _measured(broker, tally)


async def io_bound(job: Job) -> Measured:
    """Handlers that wait for something else. latency: how long. max_workers: how many at once."""
    broker, tally = broker_for(job), Tally(job.events)

    async def get_tally() -> Tally:
        return tally

    @broker.subscriber(
        job.topic,
        group_id=job.group,
        auto_offset_reset="earliest",
        max_workers=job.options["max_workers"],
    )
    async def handle(order: Order, tally: Annotated[Tally, Depends(get_tally, cast=False)]) -> None:
        tally.begin()
        await asyncio.sleep(job.options["latency"])
        tally.count(order)

    return await _measured(broker, tally)


async def publish(job: Job) -> Measured:
    """`publish`, from many tasks at once, on an idempotent producer."""
    async with sending_broker_for(job) as broker:

        async def send_one(order: Order) -> None:
            await broker.publish(order, job.topic, key=order.customer.id.encode())

        return await from_tasks(send_one, orders(job.events))


async def publish_many(job: Job) -> Measured:
    """`publish` for each event of a batch, and all of their confirmations."""
    async with sending_broker_for(job) as broker:

        async def send_many(batch: Sequence[Order]) -> None:
            confirmations = [
                await broker.publish(
                    order, job.topic, key=order.customer.id.encode(), no_confirm=True
                )
                for order in batch
            ]
            await asyncio.gather(*confirmations)

        return await in_batches(send_many, orders(job.events))


def sending_broker_for(job: Job) -> KafkaBroker:
    """The same, with what is sent confirmed by all replicas, and not twice."""
    return KafkaBroker(job.address, log_level=logging.DEBUG, acks="all", enable_idempotence=True)


async def _measured(broker: KafkaBroker, tally: Tally) -> Measured:
    async with broker:
        await broker.start()
        return await tally.measured()
