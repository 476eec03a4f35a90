"""The engine alone: dispytch in memory, beside the validation of the same bytes."""

import gc
import time
from collections.abc import Callable
from typing import Annotated, Any
from uuid import uuid4

from pydantic import TypeAdapter

from dispytch import Dependency, Event, EventListener, HandlerGroup
from dispytch.middleware import Next

from ..job import Job
from ..workload import EVENT_TYPE, Measured, Order, Tally, orders
from .dispytch_side import fill

TOPIC = "benchmark"


async def dispatch(job: Job) -> Measured:
    """Processor time per event through a listener, and per validation, both in this process.

    shape: the kind of handler, one of `SHAPES`.
    """
    url = await filled(job.events)
    handled = (await dispatched(url, job.events, job.options["shape"])).values
    validation = validated(job.events)
    return Measured(
        {"us": handled["cpu"], "validation": validation, "beyond": handled["cpu"] - validation}
    )


async def filled(events: int) -> str:
    """The URL of a broker in memory with so many events."""
    url = f"memory://{uuid4().hex}?retention={events}"
    await fill(url, TOPIC, events)
    gc.collect()
    gc.freeze()  # What waits in memory is the broker's, and not for this program to look through.
    return url


async def dispatched(url: str, events: int, shape: str) -> Measured:
    """What it takes to handle the events of the topic."""
    tally, handlers = Tally(events), HandlerGroup()
    SHAPES[shape](handlers, tally)
    listener = EventListener(url, group=uuid4().hex)
    listener.add_handler_group(handlers)
    async with listener:
        return await tally.measured()


def validated(events: int) -> float:
    """Microseconds of processor time for one validation."""
    adapter = TypeAdapter(Order)
    values = [adapter.dump_json(order) for order in orders(events)]
    validate = adapter.validate_json
    began = time.process_time()
    for value in values:
        validate(value)
    return (time.process_time() - began) / events * 1e6


def with_one_dependency(handlers: HandlerGroup, tally: Tally) -> None:
    """A handler that takes its event and one dependency."""

    def get_tally() -> Tally:
        return tally

    @handlers.handler(topic=TOPIC, event=EVENT_TYPE)
    async def handle(event: Event[Order], tally: Annotated[Tally, Dependency(get_tally)]) -> None:
        tally.count(event.body)


def with_two_nested_and_a_middleware(handlers: HandlerGroup, tally: Tally) -> None:
    """A handler whose dependency has a dependency, with a middleware around it."""

    def get_tally() -> Tally:
        return tally

    def get_count(tally: Annotated[Tally, Dependency(get_tally)]) -> Callable[[Order], None]:
        return tally.count

    async def middleware(event: Event[Any], call_next: Next) -> Any:
        return await call_next(event)

    group = HandlerGroup(middlewares=[middleware])

    @group.handler(topic=TOPIC, event=EVENT_TYPE)
    async def handle(
        event: Event[Order],
        count: Annotated[Callable[[Order], None], Dependency(get_count)],
    ) -> None:
        count(event.body)

    handlers.add_handler_group(group)


SHAPES = {"one": with_one_dependency, "nested": with_two_nested_and_a_middleware}
