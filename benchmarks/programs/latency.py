"""From emit to the start of the handler, at a steady pace: dispytch, and each driver by hand."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from statistics import quantiles
from typing import Any

from aio_pika.abc import AbstractIncomingMessage

from dispytch import Event, EventEmitter, EventListener, HandlerGroup

from ..job import Job
from ..workload import EVENT_TYPE, Measured, Order, order
from . import kafka_raw, rabbitmq_raw
from .dispytch_side import OrderPlaced

PACE = 500.0
"""Events per second."""
WARM_UP = 0.1
"""The part of the events that comes first and is not counted."""

Send = Callable[[int], Coroutine[Any, Any, None]]
"""Makes the order with this number, at this moment, and sends it."""


class Latencies:
    """What is between making an event and starting its handler, which calls `take`."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._taken: list[float] = []
        self._first, self._last = asyncio.Event(), asyncio.Event()

    def take(self, handled: Order) -> None:
        """A handler starts with this order."""
        self._first.set()
        if handled.number < 0:
            return
        self._taken.append((time.perf_counter() - handled.at) * 1000)
        if len(self._taken) == self._events:
            self._last.set()

    @property
    def running(self) -> bool:
        """Whether there are events to come."""
        return not self._last.is_set()

    async def measured(self, send: Send) -> Measured:
        """Send at a steady pace, each event in a task of its own, and wait for all of them."""
        await send(-1)
        await self._first.wait()
        async with asyncio.TaskGroup() as sending:
            began = time.perf_counter()
            for number in range(self._events):
                await asyncio.sleep(began + number / PACE - time.perf_counter())
                sending.create_task(send(number))
        await self._last.wait()
        counted = self._taken[int(self._events * WARM_UP) :]
        of_hundred = quantiles(counted, n=100, method="inclusive")
        return Measured({"p50": of_hundred[49], "p99": of_hundred[98]})


async def dispytch(job: Job) -> Measured:
    """A listener and an emitter."""
    latencies, handlers = Latencies(job.events), HandlerGroup()

    @handlers.handler(topic=job.topic, event=EVENT_TYPE)
    async def handle(event: Event[Order]) -> None:
        latencies.take(event.body)

    class OnTopic(OrderPlaced):
        __topic__ = job.topic

    listener = EventListener(job.url, group=job.group)
    listener.add_handler_group(handlers)
    async with listener, EventEmitter(job.url) as emitter:

        async def send(number: int) -> None:
            await emitter.emit(OnTopic(**dict(order(number))))

        return await latencies.measured(send)


async def kafka(job: Job) -> Measured:
    """aiokafka: `getmany` and `send_and_wait`."""
    latencies = Latencies(job.events)

    async def handle(order: Order) -> None:
        latencies.take(order)

    async with kafka_raw.consumer(job) as consumer, kafka_raw.producer(job) as producer:

        async def send(number: int) -> None:
            made = order(number)
            await producer.send_and_wait(
                job.topic, kafka_raw.ORDER.dump_json(made), key=made.customer.id.encode()
            )

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kafka_raw.received(consumer, handle, lambda: latencies.running))
            return await latencies.measured(send)


async def rabbitmq(job: Job) -> Measured:
    """aio-pika: a callback that acks each, and a confirmed `publish`."""
    latencies = Latencies(job.events)

    async def take(message: AbstractIncomingMessage) -> None:
        latencies.take(rabbitmq_raw.ORDER.validate_json(message.body))
        await message.ack()

    async with rabbitmq_raw.received(job, take), rabbitmq_raw.channel(job.url) as opened:
        publish = await rabbitmq_raw.publisher(opened, job)

        async def send(number: int) -> None:
            await publish(order(number))

        return await latencies.measured(send)
