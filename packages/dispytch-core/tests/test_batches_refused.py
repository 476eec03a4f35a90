"""Batch handlers that cannot work are refused at the start, with the remedy."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from dispytch import (
    Batch,
    BatchFailed,
    Delivery,
    Dependency,
    Event,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Header,
    Message,
    TopicSegment,
    provides,
)
from dispytch.exceptions import ConfigurationError, DependencyError, InvalidHandler
from dispytch.memory import MemoryBackend
from dispytch.middleware import Next


class Body(BaseModel):
    number: int


class Tenant:
    pass


def of_event(event: Event[Body]) -> int:
    return event.body.number


async def store(events: list[Event[Body]]) -> None:
    """Store them."""


async def start(*registrations: tuple[Callable[..., Any], dict[str, Any]], **options: Any) -> None:
    group = HandlerGroup()
    for handler, registration in registrations:
        group.handler(**{"topic": "readings", **registration})(handler)
    listener = EventListener(options.pop("backend", "memory://refused"), group="g", **options)
    listener.add_handler_group(group)
    async with listener:
        pass


async def takes_one(event: Event[Body]) -> None: ...
async def takes_plain_list(events: list[Event]) -> int: ...
async def takes_nothing() -> None: ...
async def takes_tuple(events: tuple[Event[Body], ...]) -> None: ...
async def takes_header(events: list[Event[Body]], x: Annotated[str, Header()]) -> None: ...
async def takes_segment(events: list[Event[Body]], x: Annotated[str, TopicSegment()]) -> None: ...
async def takes_delivery(events: list[Event[Body]], x: Delivery) -> None: ...
async def takes_message(events: list[Event[Body]], x: Message) -> None: ...
async def takes_given(events: list[Event[Body]], tenant: Tenant) -> None: ...
async def takes_of_event(
    events: list[Event[Body]], x: Annotated[int, Dependency(of_event)]
) -> None: ...


BATCH = {"batch": Batch(10)}


@pytest.mark.parametrize(
    ("handler", "registration", "text"),
    [
        (takes_one, BATCH, r"`event` belongs to one event, .* ask for list\[Event\[...\]\]"),
        (store, {}, r"`events` asks for a list of events, .* register it with batch=Batch\(size\)"),
        (takes_nothing, BATCH, r"takes batches, and neither .* events: list\[Event\[...\]\]"),
        (takes_tuple, BATCH, r"nothing provides it; .* list\[Event\[...\]\]"),
        (takes_header, BATCH, "parameter `x` belongs to one event"),
        (takes_segment, {**BATCH, "topic": "a.{x}"}, "parameter `x` belongs to one event"),
        (takes_delivery, BATCH, "parameter `x` belongs to one event"),
        (takes_message, BATCH, "parameter `x` belongs to one event"),
        (takes_of_event, BATCH, "dependency `of_event` → parameter `event` belongs to one event"),
        (store, {**BATCH, "answers": True}, "answers no requests, but answers=True"),
        (takes_plain_list, BATCH, "answers no requests, but it returns <class 'int'>"),
    ],
)
async def test_signatures(
    handler: Callable[..., Any], registration: dict[str, Any], text: str
) -> None:
    with pytest.raises((InvalidHandler, DependencyError), match=text) as caught:
        await start((handler, registration))
    assert handler.__name__ in str(caught.value)


async def test_what_returns_something_may_say_that_it_is_no_answer() -> None:
    await start((takes_plain_list, {**BATCH, "answers": False}))


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"topic": "readings", "event": "a"}, "readings"),
        ({"topic": "readings", "event": "b", **BATCH}, "readings"),
        ({"topic": "*"}, r"\*"),
        ({"topic": "readings.#", **BATCH}, "readings.#"),
    ],
)
async def test_a_topic_that_another_handler_takes_as_well(other: dict[str, Any], text: str) -> None:
    async def one(event: Event[Body]) -> None: ...
    async def more(events: list[Event[Body]]) -> None: ...

    handler = more if "batch" in other else one
    with pytest.raises(InvalidHandler, match=f"takes events of '{text}', some of the same"):
        await start((store, {**BATCH, "event": "b"}), (handler, other))


async def test_topics_that_differ_are_no_matter() -> None:
    await start(
        (store, {**BATCH, "topic": "a.*"}),
        (takes_one, {"topic": "b.*"}),
        (of_event, {"topic": "a"}),
    )


@pytest.mark.parametrize(
    ("batch", "options", "text"),
    [
        (Batch(100), {"max_in_flight": 199}, "set it to 200 or more"),
        (Batch(10, wait=300), {}, "health turns red after stuck_after=300"),
        (Batch(10, by="key"), {"ordering": "partition"}, "take them by='topic'"),
    ],
)
async def test_what_the_listener_has_no_room_or_time_for(
    batch: Batch, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidHandler, match=text):
        await start((store, {"batch": batch}), **options)


async def test_a_wait_for_which_the_broker_lends_no_event() -> None:
    class Lending(MemoryBackend):
        features = MemoryBackend.features.__class__(
            durable=False, history=True, shared_order=True, hold_limit=100.0
        )

    await start((store, {"batch": Batch(10, wait=50)}), backend=Lending("lending"))
    with pytest.raises(InvalidHandler, match="takes them back after 100 s"):
        await start((store, {"batch": Batch(10, wait=51)}), backend=Lending("lending"))


async def alone(event: Event[Any], call_next: Next) -> Any:
    return await call_next(event)


async def test_middlewares_that_go_around_one_event() -> None:
    text = "takes batches, and .*alone, a middleware around it, one event; .* around_batch"
    with pytest.raises(InvalidHandler, match=text):
        await start((store, BATCH), middlewares=[alone])


async def test_what_a_middleware_provides_for_one_event() -> None:
    @provides(Tenant)
    class Providing:
        async def __call__(self, event: Event[Any], call_next: Next) -> Any: ...
        async def around_batch(self, events: list[Event[Any]], call_next: Any) -> None: ...

    with pytest.raises(InvalidHandler, match="parameter `tenant` belongs to one event"):
        await start((takes_given, BATCH), middlewares=[Providing()])


def test_app_scoped_dependencies_know_no_events() -> None:
    async def handler(
        events: list[Event[Body]], one: Annotated[None, Dependency(store, scope="app")]
    ) -> None: ...

    from dispytch.dependencies import Wiring

    with pytest.raises(DependencyError, match="app-scoped"):
        Wiring((EventEmitter,)).plan(handler, batch=True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"size": 0}, "size must be at least 1, not 0"),
        ({"size": True}, "size must be at least 1"),
        ({"size": 1, "wait": -1}, "wait must be seconds"),
        ({"size": 1, "wait": float("inf")}, "wait must be seconds"),
        ({"size": 1, "by": "event"}, "by must be 'topic' or 'key', not 'event'"),
    ],
)
def test_a_batch_that_makes_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Batch(**options)


def test_a_batch_that_is_none() -> None:
    with pytest.raises(InvalidHandler, match="batch takes a Batch, as in"):
        HandlerGroup().handler(topic="t", batch=100)(store)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failures", "text"),
    [
        ({}, "at least one failure"),
        ({-1: LookupError()}, "indexes from 0 on"),
        ({0: LookupError}, "errors by index"),
        ({"0": LookupError()}, "errors by index"),
        ({0: BatchFailed({0: LookupError()})}, "no BatchFailed"),
    ],
)
def test_failures_that_are_none(failures: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        BatchFailed(failures)
