"""Dispytch in one process, beside the validation of the same bytes."""

import gc
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Annotated, Any
from uuid import uuid4

from pydantic import TypeAdapter

from dispytch import Dependency, Event, EventListener, HandlerGroup
from dispytch.middleware import Next
from dispytch.transport import Backend

from ..job import Job
from ..workload import EVENT_TYPE, KEYS, Measured, Order, Tally, orders
from .dispytch_side import fill
from .ready import ReadyBackend

TOPIC = "benchmark"


async def without_broker(job: Job) -> Measured:
    """Processor time per event through a listener, and per validation, both in this process.

    shape: the kind of handler, one of `SHAPES`.
    """
    backend = await ready(job.events)
    handled = await dispatched(backend, job.events, job.options["shape"])
    return _beyond(handled, validated(KEYS, job.events))


async def in_memory(job: Job) -> Measured:
    """The same with the in-memory broker, which is filled before."""
    url = f"memory://{uuid4().hex}?retention={job.events}"
    await fill(url, TOPIC, job.events)
    gc.collect()
    gc.freeze()  # What waits in memory is the broker's, and not for this program to look through.
    handled = await dispatched(url, job.events, job.options["shape"])
    return _beyond(handled, validated(job.events, job.events))


async def ready(events: int) -> ReadyBackend:
    """A backend that hands out an event of each key in turn, so many events in all."""
    backend = ReadyBackend()
    await fill(backend, TOPIC, KEYS)
    backend.count = events
    return backend


async def dispatched(backend: Backend | str, events: int, shape: str) -> float:
    """Microseconds of processor time for one event of the topic."""
    tally, handlers = Tally(events), HandlerGroup()
    SHAPES[shape](handlers, tally)
    listener = EventListener(backend, group=uuid4().hex)
    listener.add_handler_group(handlers)
    async with listener:
        return (await tally.measured()).values["cpu"]


def validated(different: int, events: int) -> float:
    """Microseconds of processor time for one validation, of so many different events in turn."""
    adapter = TypeAdapter(Order)
    values = [adapter.dump_json(order) for order in orders(different)]
    validate = adapter.validate_json
    began = time.process_time()
    for value in islice(cycle(values), events):
        validate(value)
    return (time.process_time() - began) / events * 1e6


def _beyond(handled: float, validation: float) -> Measured:
    return Measured({"us": handled, "validation": validation, "beyond": handled - validation})


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
