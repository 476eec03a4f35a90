"""FastStream on Kafka, at its fastest.

Its line in the log for every message is off; errors are logged, as usual. The dependency is async,
as FastStream sends others to a thread.
"""

import logging
from typing import Annotated

from faststream import AckPolicy, Depends
from faststream.kafka import KafkaBroker, KafkaMessage

from ..job import Job
from ..workload import Measured, Order, Tally

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
        if tally.running:
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
        if tally.running:
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
            if tally.running:
                tally.count(order)

    return await _measured(broker, tally)


async def _measured(broker: KafkaBroker, tally: Tally) -> Measured:
    async with broker:
        await broker.start()
        return await tally.measured()
