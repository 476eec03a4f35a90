"""dispytch: listeners and emitters as its users write them."""

from collections.abc import Iterator
from typing import Annotated

from dispytch import Dependency, Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.transport import Backend

from ..job import Job
from ..workload import EVENT_TYPE, KEYS, Measured, Order, Tally, orders
from .idling import idled
from .sending import batches, from_tasks, in_batches


class OrderPlaced(Order, EventBase):
    """The order, as it is emitted."""

    __event_type__ = EVENT_TYPE
    __key__ = "{customer.id}"


def events(topic: str, count: int, keys: int = KEYS) -> Iterator[OrderPlaced]:
    """So many events for a topic."""

    class OnTopic(OrderPlaced):
        __topic__ = topic

    return (OnTopic(**dict(order)) for order in orders(count, keys))


async def fill(backend: Backend | str, topic: str, count: int, keys: int = KEYS) -> None:
    """Emit so many events."""
    async with EventEmitter(backend) as emitter:
        for batch in batches(events(topic, count, keys)):
            await emitter.emit_many(batch)


async def consume(job: Job) -> Measured:
    """Handle the events of a topic; the options go to the listener."""
    tally = Tally(job.events)
    handlers = HandlerGroup()

    def get_tally() -> Tally:
        return tally

    @handlers.handler(topic=job.topic, event=EVENT_TYPE)
    async def handle(event: Event[Order], tally: Annotated[Tally, Dependency(get_tally)]) -> None:
        tally.count(event.body)

    listener = EventListener(job.url, group=job.group, **job.options)
    listener.add_handler_group(handlers)
    async with listener:
        return await tally.measured()


async def idle(job: Job) -> Measured:
    """A listener with nothing to do."""
    handlers = HandlerGroup()

    @handlers.handler(topic=job.topic or "benchmark", event=EVENT_TYPE)
    async def handle(event: Event[Order]) -> None: ...

    listener = EventListener(job.url or "memory://benchmark", group=job.group or "benchmark")
    listener.add_handler_group(handlers)
    async with listener:
        return await idled(job)


async def emit_many(job: Job) -> Measured:
    """Emit batch after batch."""
    async with EventEmitter(job.url) as emitter:
        return await in_batches(emitter.emit_many, events(job.topic, job.events))


async def emit(job: Job) -> Measured:
    """Emit one by one, from many tasks at once."""
    async with EventEmitter(job.url) as emitter:
        return await from_tasks(emitter.emit, events(job.topic, job.events))
