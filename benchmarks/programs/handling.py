"""dispytch with handlers that take their time."""

import asyncio
from typing import Annotated

from dispytch import Dependency, Event, EventListener, HandlerGroup

from ..job import Job
from ..workload import EVENT_TYPE, KEYS, Measured, Order, Tally

SLOW_KEY = f"{0:06}"


async def io_bound(job: Job) -> Measured:
    """Handlers that wait for something else. latency: how long, in seconds."""
    tally, handlers = Tally(job.events), HandlerGroup()
    latency = job.options["latency"]

    def get_tally() -> Tally:
        return tally

    @handlers.handler(topic=job.topic, event=EVENT_TYPE)
    async def handle(event: Event[Order], tally: Annotated[Tally, Dependency(get_tally)]) -> None:
        tally.begin()
        await asyncio.sleep(latency)
        tally.count(event.body)

    return await _listened(job, handlers, tally, concurrency=job.options["concurrency"])


async def slow_key(job: Job) -> Measured:
    """The events of all keys but one, while that one takes its time.

    latency: of the events with that key, in seconds; zero makes it like the others.
    """
    of_the_slow_key = len(range(0, job.events, KEYS))
    tally, handlers = Tally(job.events - of_the_slow_key), HandlerGroup()
    latency = job.options["latency"]

    def get_tally() -> Tally:
        return tally

    @handlers.handler(topic=job.topic, event=EVENT_TYPE)
    async def handle(event: Event[Order], tally: Annotated[Tally, Dependency(get_tally)]) -> None:
        if event.body.customer.id == SLOW_KEY:
            await asyncio.sleep(latency)
        else:
            tally.count(event.body)

    return await _listened(job, handlers, tally, concurrency=64)


async def _listened(
    job: Job, handlers: HandlerGroup, tally: Tally, *, concurrency: int
) -> Measured:
    listener = EventListener(job.url, group=job.group, concurrency=concurrency)
    listener.add_handler_group(handlers)
    async with listener:
        return await tally.measured()
