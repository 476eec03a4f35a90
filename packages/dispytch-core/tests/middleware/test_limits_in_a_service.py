"""Limits around the handlers of a service that really runs, in memory."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.memory import MemoryBackend
from dispytch.middleware import Next, RateLimit


class Job(EventBase):
    __topic__ = "jobs"
    __event_type__ = "job"

    number: int


def listening(backend: MemoryBackend, limit: RateLimit) -> tuple[EventListener, list[int]]:
    started: list[int] = []
    group = HandlerGroup("jobs", "job")

    @group.handler(middlewares=[limit])
    async def work(event: Event[Job]) -> None:
        started.append(event.body.number)

    listener = EventListener(backend, group="workers", drain_timeout=1, max_in_flight=8)
    listener.add_handler_group(group)
    return listener, started


async def until(started: list[int], count: int) -> None:
    async with asyncio.timeout(20):
        while len(started) < count:  # noqa: ASYNC110 - the handler tells nobody
            await asyncio.sleep(0.01)


class WantsThemBack(MemoryBackend):
    """A broker that takes events back after as long as RabbitMQ does."""

    features = replace(MemoryBackend.features, hold_limit=1500.0)


@pytest.mark.parametrize("max_in_flight", [8, 200])
async def test_turns_are_in_order_where_the_broker_wants_events_back_before_theirs(
    max_in_flight: int,
) -> None:
    asked: list[int] = []
    started: list[int] = []
    group = HandlerGroup("jobs", "job")

    async def noted(event: Event[Job], call_next: Next) -> Any:
        if event.body.number not in asked:
            asked.append(event.body.number)
        return await call_next(event)

    @group.handler(middlewares=[noted, RateLimit(1, per=60)])
    async def work(event: Event[Job]) -> None:
        started.append(event.body.number)

    backend = WantsThemBack("wants-them-back")
    listener = EventListener(backend, group="workers", max_in_flight=max_in_flight)
    listener.add_handler_group(group)
    async with listener.test(clock="manual") as probe:
        # In no time at all they ask, and all those that wait for long come back at once.
        await probe.emit_many([Job(number=number) for number in range(100)])
        await probe.advance(101 * 60)
        assert len(probe.handled) == 100
    assert started == asked


async def test_thousands_that_wait_for_long_cost_nothing_and_stop_at_once() -> None:
    backend = MemoryBackend("thousands", partitions=1)
    started: list[int] = []
    group = HandlerGroup("jobs", "job")

    @group.handler(middlewares=[RateLimit(1, per=3600, burst=3)])
    async def work(event: Event[Job]) -> None:
        started.append(event.body.number)

    listener = EventListener(backend, group="workers", max_in_flight=10_000, drain_timeout=5)
    listener.add_handler_group(group)
    async with EventEmitter(backend) as emitter:
        await emitter.emit_many(Job(number=number) for number in range(4000))
    async with listener:
        async with asyncio.timeout(20):
            while listener.outcomes.postponed < 3997:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        cpu = time.process_time()
        await asyncio.sleep(1)
        assert time.process_time() - cpu < 0.2
        assert listener.outcomes.postponed == 3997, "nobody asks again before its turn"
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert started == [0, 1, 2]


@pytest.mark.parametrize("burst", [1, 5])
async def test_a_listener_that_is_started_again_goes_on_where_it_was(burst: int) -> None:
    backend = MemoryBackend(f"again-{burst}", partitions=2)
    listener, started = listening(backend, RateLimit(1, per=0.05, burst=burst))
    async with EventEmitter(backend) as emitter:
        await emitter.emit_many(Job(number=number) for number in range(24))
    for part in (8, 16, 24):
        async with listener:
            await until(started, part)
    assert sorted(set(started)) == list(range(24))
