"""dispytch 0.11 on Kafka, in an environment of its own."""

import asyncio
from typing import Annotated

from aiokafka import AIOKafkaConsumer

from dispytch import Dependency, Event, EventDispatcher
from dispytch.kafka import KafkaConsumer, KafkaEventSubscription
from dispytch.middleware import AsyncLock

from ..job import Job
from ..workload import Measured, Order, Tally


async def consume(job: Job) -> Measured:
    """At-least-once and in order by key, with windows and commits as large as serve it best."""
    tally = Tally(job.events)
    consumer = KafkaConsumer(
        AIOKafkaConsumer(
            job.topic,
            bootstrap_servers=job.address,
            group_id=job.group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        ),
        in_flight_msg_limit_per_partition=job.options["window"],
        fetch_interval_ms=1,
        batch_timeout_ms=500,
        batch_size=10_000,
    )
    dispatcher = EventDispatcher(consumer)

    def get_tally() -> Tally:
        return tally

    @dispatcher.handler(
        KafkaEventSubscription(topic=job.topic),
        middlewares=[AsyncLock(lambda context: context.event["customer"]["id"])],
    )
    async def handle(order: Event[Order], tally: Annotated[Tally, Dependency(get_tally)]) -> None:
        if tally.running:
            tally.count(order)

    await consumer.start()
    running = asyncio.create_task(dispatcher.start(job.options["concurrency"]))
    try:
        return await tally.measured()
    finally:
        await consumer.stop()
        running.cancel()
