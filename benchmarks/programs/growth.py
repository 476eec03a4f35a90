"""What an event costs without a broker, with more handlers, lanes or keys."""

import gc
from typing import Annotated

from dispytch import Dependency, Event, EventEmitter, EventListener, HandlerGroup

from ..job import Job
from ..workload import EVENT_TYPE, KEYS, Measured, Order, Tally, orders
from .dispytch_side import OrderPlaced
from .ready import ReadyBackend
from .sending import batches


async def cost(job: Job) -> Measured:
    """Processor time per event.

    handlers: so many, each on a topic of its own, which share the events. lanes: how many events
    may be handled at once. keys: how many the events have.
    """
    handlers, lanes = job.options.get("handlers", 1), job.options.get("lanes", 64)
    topics = [f"benchmark.{number}" for number in range(handlers)]
    backend = ReadyBackend()
    await _fill(backend, topics, job.events, job.options.get("keys", KEYS))
    backend.count = job.events
    gc.collect()
    gc.freeze()  # What waits in memory stands for a broker's, and is not this program's to look at.
    tally = Tally(job.events)
    listener = EventListener(backend, group="benchmark", concurrency=lanes)
    listener.add_handler_group(_handling(topics, tally))
    async with listener:
        return Measured({"us": (await tally.measured()).values["cpu"]})


async def _fill(backend: ReadyBackend, topics: list[str], count: int, keys: int) -> None:
    kinds = [type("OnTopic", (OrderPlaced,), {"__topic__": topic}) for topic in topics]
    events = (kinds[order.number % len(kinds)](**dict(order)) for order in orders(count, keys))
    async with EventEmitter(backend) as emitter:
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
