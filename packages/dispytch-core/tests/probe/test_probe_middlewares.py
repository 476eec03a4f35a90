"""Middlewares that count time or remember go by the clock of the service under test."""

import asyncio
import gc
import time
from datetime import timedelta
from typing import Any

import pytest

from dispytch import Event, EventBase, EventListener, HandlerGroup, Idempotent
from dispytch.clock import Clock, service_time
from dispytch.middleware import ConcurrencyLimit, MemoryStore, Middleware, RateLimit
from dispytch.middleware.kept import Kept


class Job(EventBase):
    __topic__ = "jobs"
    __event_type__ = "job"

    number: int


def listening(*middlewares: Middleware) -> EventListener:
    group = HandlerGroup("jobs", "job", middlewares=middlewares)

    @group.handler()
    async def work(event: Event[Job]) -> None:
        await asyncio.sleep(0)

    listener = EventListener("memory://", group="workers")
    listener.add_handler_group(group)
    return listener


def jobs(count: int) -> list[Job]:
    return [Job(number=number) for number in range(count)]


@pytest.mark.parametrize("interval", [0.1, 1.0, 9.9, 60.0, 3600.0])
async def test_a_rate_limit_is_moved_on_by_a_manual_clock(interval: float) -> None:
    async with listening(RateLimit(1, per=interval)).test(clock="manual") as probe:
        await probe.emit_many(jobs(4))
        await probe.settled()
        for turn in range(1, 4):
            assert len(probe.handled) == turn
            await probe.advance(interval * 0.75)
            assert len(probe.handled) == turn, "it is not its turn"
            await probe.advance(interval * 0.25)
        assert len(probe.handled) == 4


async def test_settling_does_not_wait_for_a_rate_limit() -> None:
    began = time.monotonic()
    async with listening(RateLimit(1, per=timedelta(hours=8))).test() as probe:
        await probe.emit_many(jobs(10))
        await probe.settled()
        assert len(probe.handled) == 10
    assert time.monotonic() - began < 4


async def test_a_concurrency_limit_needs_no_move_of_the_clock() -> None:
    async with listening(ConcurrencyLimit(1)).test(clock="manual") as probe:
        await probe.emit_many(jobs(5))
        await probe.settled()
        assert len(probe.handled) == 5


async def test_every_probe_begins_with_its_full_rate() -> None:
    listener = listening(RateLimit(3, per=timedelta(days=1), burst=3))
    for _ in range(2):
        async with listener.test(clock="manual") as probe:
            await probe.emit_many(jobs(3))
            await probe.settled()
            assert len(probe.handled) == 3


async def test_two_probes_at_once_do_not_share_a_limit() -> None:
    listener = listening(RateLimit(1, per=60))
    async with listener.test(clock="manual") as one, listener.test(clock="manual") as other:
        for probe in (one, other):
            await probe.emit_many(jobs(2))
            await probe.settled()
            assert len(probe.handled) == 1
        await one.advance(60)
        assert (len(one.handled), len(other.handled)) == (2, 1)


async def test_what_a_probe_has_handled_is_new_to_the_next() -> None:
    listener, job = listening(Idempotent(ttl=60)), Job(number=1)
    for _ in range(2):
        async with listener.test(clock="manual") as probe:
            await probe.emit(job)
            await probe.redeliver(job)
            await probe.settled()
            assert (len(probe.handled), len(probe.skipped)) == (1, 1)
            await probe.advance(60)
            await probe.redeliver(job)
            await probe.settled()
            assert (len(probe.handled), len(probe.skipped)) == (2, 1)


async def test_nothing_is_kept_of_probes_that_are_gone() -> None:
    store = MemoryStore()
    for number in range(3):
        async with listening(Idempotent(store)).test() as probe:
            await probe.emit(Job(number=number))
            await probe.settled()
            assert len(store) >= 1
    del probe
    await asyncio.sleep(0)
    gc.collect()
    assert len(store) == 0


async def test_services_of_one_process_share_what_is_kept() -> None:
    kept: Kept[list[int]] = Kept(list, None)

    async def serve() -> list[int]:
        Clock.of_loop().govern()
        return kept.now()[0]

    one, other = await asyncio.gather(asyncio.create_task(serve()), asyncio.create_task(serve()))
    assert one is other
    assert one is kept.now()[0], "outside of a service, time is the same"


async def test_a_clock_of_its_own_counts_in_every_service() -> None:
    kept: Kept[list[int]] = Kept(list, lambda: 5.0)
    state, now = kept.now()

    async def serve() -> Any:
        Clock(time=lambda: 7.0, call_at=asyncio.get_running_loop().call_at).govern()
        assert service_time()() == 7.0
        return kept.now()

    assert await asyncio.create_task(serve()) == (state, now)
    assert now == 5.0
    assert service_time() is time.monotonic, "a service's time is its own"
