"""FastStream on RabbitMQ, at its fastest; see `kafka_faststream`."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated

from faststream import AckPolicy, Depends
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange, RabbitQueue

from ..job import Job
from ..workload import Measured, Order, Tally, orders
from .rabbitmq_raw import EXCHANGE, PREFETCH, plain
from .sending import in_batches


def broker_for(job: Job) -> RabbitBroker:
    """A broker with this prefetch, and no line in the log for every message."""
    return RabbitBroker(
        plain(job.url),
        default_channel=Channel(prefetch_count=PREFETCH, on_return_raises=True),
        log_level=logging.DEBUG,
    )


async def consume(job: Job) -> Measured:
    """One call of the handler per message. ack: a name of `AckPolicy`."""
    broker, tally = broker_for(job), Tally(job.events)

    async def get_tally() -> Tally:
        return tally

    @broker.subscriber(
        RabbitQueue(job.queue, declare=False), ack_policy=AckPolicy[job.options["ack"]]
    )
    async def handle(order: Order, tally: Annotated[Tally, Depends(get_tally, cast=False)]) -> None:
        tally.count(order)

    async with broker:
        await broker.start()
        return await tally.measured()


async def publish_many(job: Job) -> Measured:
    """A confirmed `publish` for each event of a batch, all at once."""
    async with broker_for(job) as broker:
        publisher = broker.publisher(
            routing_key=job.topic,
            exchange=RabbitExchange(EXCHANGE, declare=False),
            persist=True,
            mandatory=True,
        )

        async def send_many(batch: Sequence[Order]) -> None:
            await asyncio.gather(*map(publisher.publish, batch))

        return await in_batches(send_many, orders(job.events))
