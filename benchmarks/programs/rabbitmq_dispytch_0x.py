"""dispytch 0.11 on RabbitMQ, in an environment of its own."""

import asyncio
from typing import Annotated

from dispytch import Dependency, Event, EventDispatcher
from dispytch.rabbitmq import RabbitMQConsumer, RabbitMQEventSubscription

from ..job import Job
from ..workload import Measured, Order, Tally
from .rabbitmq_raw import PREFETCH, channel


async def consume(job: Job) -> Measured:
    """At-least-once, in no order."""
    tally = Tally(job.events)

    def get_tally() -> Tally:
        return tally

    async with channel(job.url) as opened:
        await opened.set_qos(prefetch_count=PREFETCH)
        consumer = RabbitMQConsumer(await opened.get_queue(job.queue))
        dispatcher = EventDispatcher(consumer)

        @dispatcher.handler(RabbitMQEventSubscription(queue=job.queue))
        async def handle(
            order: Event[Order], tally: Annotated[Tally, Dependency(get_tally)]
        ) -> None:
            tally.count(order)

        await consumer.start()
        running = asyncio.create_task(dispatcher.start())
        try:
            return await tally.measured()
        finally:
            await consumer.stop()
            running.cancel()
