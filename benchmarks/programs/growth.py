"""What an event costs in memory, with more handlers, lanes or keys."""

import gc
from typing import Annotated
from uuid import uuid4

from dispytch import Dependency, Event, EventEmitter, EventListener, HandlerGroup

from ..job import Job
from ..workload import EVENT_TYPE, KEYS, Measured, Order, Tally, orders
from .dispytch_side import OrderPlaced
from .sending import batches


async def cost(job: Job) -> Measured:
    """Processor time per event.

    handlers: so many, each on a topic of its own, which share the events. lanes: how many events
    may be handled at once. keys: how many the events have.
    """
    handlers, lanes = job.options.get("handlers", 1), job.options.get("lanes", 64)
    url = f"memory://{uuid4().hex}?retention={job.events}"
    topics = [f"benchmark.{number}" for number in range(handlers)]
    await _fill(url, topics, job.events, job.options.get("keys", KEYS))
    gc.collect()
    gc.freeze()  # What waits in memory is the broker's, and not for this program to look through.
    tally = Tally(job.events)
    listener = EventListener(url, group="benchmark", concurrency=lanes)
    listener.add_handler_group(_handling(topics, tally))
    async with listener:
        return Measured({"us": (await tally.measured()).values["cpu"]})


async def _fill(url: str, topics: list[str], count: int, keys: int) -> None:
    kinds = [type("OnTopic", (OrderPlaced,), {"__topic__": topic}) for topic in topics]
    events = (kinds[order.number % len(kinds)](**dict(order)) for order in orders(count, keys))
    async with EventEmitter(url) as emitter:
        for batch in batches(events):
            await emitter.emit_many(batch)


def _handling(topics: list[str], tally: Tally) -> HandlerGroup:
    handlers = HandlerGroup()

    def get_tally() -> Tally:
        return tally

    async def handle(event: Event[Order], tally: Annotated[Tally, Dependency(get_tally)]) -> None:
        tally.count(event.body)

    for topic in topics:
        handlers.handler(topic=topic, event=EVENT_TYPE)(handle)
    return handlers
