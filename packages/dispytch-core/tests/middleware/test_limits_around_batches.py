"""Limits around batch handlers: a batch is one run, for each key among its events."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from dispytch import Batch, Event, EventBase, EventListener, HandlerGroup
from dispytch.exceptions import Postpone
from dispytch.middleware import ConcurrencyLimit, Middleware, RateLimit

MakeEvent = Callable[..., Event[Any]]
Events = list[Event[Any]]


class SetClock(Protocol):
    now: float

    def __call__(self) -> float: ...


async def handled(events: Events) -> None: ...


async def test_a_batch_is_one_run_for_a_rate_limit(an_event: MakeEvent, clock: SetClock) -> None:
    limit = RateLimit(1, per=10, clock=clock)
    first, second = [an_event(), an_event()], [an_event(), an_event()]
    await limit.around_batch(first, handled)
    with pytest.raises(Postpone) as postponed:
        await limit.around_batch(second, handled)
    assert postponed.value.seconds == 10
    clock.now += 10
    await limit.around_batch(second, handled)


async def test_a_batch_counts_for_each_key_among_its_events(
    an_event: MakeEvent, clock: SetClock
) -> None:
    limit = RateLimit(1, per=4, key=lambda event: event.key, clock=clock)
    await limit.around_batch([an_event("a")], handled)
    clock.now += 1
    batch = [an_event("b"), an_event("a"), an_event("b"), an_event(None)]
    with pytest.raises(Postpone) as postponed:
        await limit.around_batch(batch, handled)
    assert postponed.value.seconds == 3
    clock.now += 3
    await limit.around_batch(batch, handled)
    with pytest.raises(Postpone):
        await limit.around_batch([an_event("b")], handled)


async def test_a_batch_has_one_place_with_each_key_or_waits_with_none(
    an_event: MakeEvent,
) -> None:
    limit = ConcurrencyLimit(1, key=lambda event: event.key)
    open_, inside = asyncio.Event(), asyncio.Event()

    async def slow(events: Events) -> None:
        inside.set()
        await open_.wait()

    running = asyncio.create_task(limit.around_batch([an_event("b"), an_event("b")], slow))
    await inside.wait()
    batch = [an_event("a"), an_event("b"), an_event(None)]
    with pytest.raises(Postpone) as postponed:
        await limit.around_batch(batch, handled)
    await limit.around_batch([an_event("a")], handled)
    until = postponed.value.until
    assert until is not None
    assert not until.done()
    open_.set()
    await running
    assert until.done()
    await limit.around_batch(batch, handled)


class Measured(EventBase):
    __topic__ = "readings"
    __event_type__ = "measured"
    __key__ = "{sensor}"

    sensor: str


@pytest.mark.parametrize("limit", [ConcurrencyLimit(1), RateLimit(100)])
async def test_a_batch_that_is_postponed_comes_back_whole_and_is_no_failure(
    limit: Middleware,
) -> None:
    batches: list[int] = []
    group = HandlerGroup()

    @group.handler(topic="readings", batch=Batch(3, wait=0.1, by="key"), middlewares=[limit])
    async def store(events: list[Event[Measured]]) -> None:
        await asyncio.sleep(0.001)
        batches.append(len(events))
        assert {event.attempt for event in events} == {1}

    listener = EventListener("memory://postponed", group="g")
    listener.add_handler_group(group)
    async with listener.test() as probe:
        await probe.emit_many([Measured(sensor=f"s{n % 5}") for n in range(15)])
        await probe.settled()
        assert batches == [3] * 5
        assert probe.outcomes.postponed > 0
        assert probe.outcomes.handled == 15
        assert not probe.failed
