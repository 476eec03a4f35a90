"""The clock of a listener under test: nothing is waited for that is only a matter of time."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from dispytch import (
    CircuitBreaker,
    Event,
    EventBase,
    EventListener,
    HandlerGroup,
    RetryAfter,
    RetryPolicy,
)
from dispytch.exceptions import ConfigurationError, HandlerTimeout, Unsettled
from dispytch.probe.clock import ProbeClock

HOUR = 3600.0


class Job(EventBase):
    __topic__ = "jobs"
    __event_type__ = "job"
    __key__ = "{queue}"

    number: int = 1
    queue: str = "a"


class Worker:
    """Fails with the errors it is given, one after the other; then it returns."""

    def __init__(self, *errors: Exception, **options: Any) -> None:
        self.errors = list(errors)
        self.group = HandlerGroup("jobs", "job")
        self.work = self.group.handler(**options)(self._work)

    def listening(self, **options: Any) -> EventListener:
        listener = EventListener("memory://", group="workers", **options)
        listener.add_handler_group(self.group)
        return listener

    async def _work(self, event: Event[Job]) -> None:
        if self.errors:
            raise self.errors.pop(0)


HOURLY = RetryPolicy(attempts=4, delay=HOUR, factor=1, max_delay=HOUR, jitter=False)
THROUGH_THE_BROKER = RetryPolicy(
    attempts=4, delay=HOUR, factor=1, max_delay=HOUR, jitter=False, delayed=True
)
each_way = pytest.mark.parametrize("retry", [HOURLY, THROUGH_THE_BROKER], ids=["place", "broker"])


@each_way
async def test_settling_does_not_wait_for_retries(retry: RetryPolicy) -> None:
    worker = Worker(ValueError(), ValueError(), retry=retry)
    async with worker.listening().test() as probe:
        began = time.monotonic()
        await probe.emit(Job())
        await probe.settled()
        assert time.monotonic() - began < 4
        assert [failed.attempt for failed in probe.failed] == [1, 2]
        assert [handled.attempt for handled in probe.handled] == [3]


@each_way
async def test_a_manual_clock_has_every_attempt_at_its_time(retry: RetryPolicy) -> None:
    worker = Worker(ValueError(), ValueError(), retry=retry)
    async with worker.listening().test(clock="manual") as probe:
        await probe.emit(Job())
        await probe.settled()
        assert len(probe.failed) == 1
        await probe.advance(HOUR - 1)
        assert len(probe.failed) == 1
        await probe.advance(timedelta(seconds=1.1))
        assert len(probe.failed) == 2
        assert probe.handled == []
        await probe.advance(HOUR)
        assert len(probe.handled) == 1


async def test_one_move_runs_all_that_is_due_on_the_way_in_order() -> None:
    times: list[float] = []
    worker = Worker(*[ValueError()] * 3, retry=HOURLY)

    async def note_time(event: Event[Any], call_next: Any) -> None:
        times.append(event.attempt)
        await call_next(event)

    async with worker.listening(middlewares=[note_time]).test(clock="manual") as probe:
        await probe.emit(Job(number=1))
        await probe.emit(Job(number=2))
        await probe.advance(3 * HOUR)
        assert times == [1, 2, 3, 4, 1]
        assert [handled.body.number for handled in probe.handled] == [1, 2]


async def test_retry_after_counts_on_the_clock() -> None:
    worker = Worker(RetryAfter(60))
    async with worker.listening().test(clock="manual") as probe:
        await probe.emit(Job())
        await probe.advance(59)
        assert probe.handled == []
        await probe.advance(1)
        assert len(probe.handled) == 1


async def test_the_time_limit_of_a_retry_policy_counts_on_the_clock() -> None:
    policy = RetryPolicy(
        attempts=9, delay=HOUR, factor=1, max_delay=HOUR, jitter=False, time_limit=2.5 * HOUR
    )
    worker = Worker(*[ValueError()] * 9, retry=policy)
    async with worker.listening().test() as probe:
        await probe.emit(Job())
        await probe.settled()
        assert [letter.attempts for letter in probe.dead_lettered] == [3]


async def test_a_stuck_handler_times_out_when_the_clock_is_moved() -> None:
    group = HandlerGroup("jobs", "job")

    @group.handler(timeout=30)
    async def stuck(event: Event[Job]) -> None:
        await asyncio.Event().wait()

    listener = EventListener("memory://", group="workers")
    listener.add_handler_group(group)
    async with listener.test(clock="manual") as probe:
        await probe.emit(Job())
        await probe.advance(29)
        assert probe.failed == []
        await probe.advance(1)
        assert [type(failed.error) for failed in probe.failed] == [HandlerTimeout]


async def test_delayed_events_come_when_they_are_due() -> None:
    worker = Worker()
    async with worker.listening().test(clock="manual") as probe:
        await probe.emit(Job(), delay=timedelta(hours=1))
        await probe.settled()
        await probe.advance(HOUR - 1)
        assert probe.handled == []
        await probe.advance(1)
        assert len(probe.handled) == 1
    async with worker.listening().test() as probe:
        await probe.emit(Job(), delay=timedelta(days=1))
        await probe.settled()
        assert len(probe.handled) == 1


async def test_a_circuit_breaker_pauses_on_the_clock() -> None:
    worker = Worker(ValueError(), dead_letter="drop")
    breaker = CircuitBreaker(failures=1, pause=60)
    async with worker.listening(circuit_breaker=breaker).test(clock="manual") as probe:
        await probe.emit_many([Job(number=1), Job(number=2)])
        await probe.settled()
        assert not (await probe.health()).healthy
        await probe.advance(59)
        assert probe.handled == []
        await probe.advance(1)
        assert [handled.body.number for handled in probe.handled] == [2]
        assert len(probe.dropped) == 1


async def test_what_waits_for_the_clock_is_named() -> None:
    worker = Worker(ValueError(), retry=HOURLY)
    group = HandlerGroup("jobs", "job")

    @group.handler()
    async def stuck(event: Event[Job]) -> None:
        if event.body.queue == "b":
            await asyncio.Event().wait()

    worker.group.add_handler_group(group)
    with pytest.raises(Unsettled) as caught:
        async with worker.listening().test(clock="manual", patience=0.05) as probe:
            await probe.emit_many([Job(queue="a"), Job(queue="b")])
    assert "attempt 2 of handler" in str(caught.value)
    assert "is due in 3600 s on the probe's clock" in str(caught.value)


async def test_a_clock_is_not_moved_back() -> None:
    async with Worker().listening().test() as probe:
        with pytest.raises(ConfigurationError, match="ahead"):
            await probe.advance(-1)


async def test_timers_are_called_in_their_order_and_cancelled_ones_not_at_all() -> None:
    called: list[str] = []
    clock = ProbeClock("manual", lambda: None)
    now = clock.time()
    clock.call_at(now + 2, called.append, "second")
    clock.call_at(now + 1, called.append, "first")
    clock.call_at(now + 1, called.append, "cancelled").cancel()
    clock.call_at(now + 3, called.append, "later")
    before = clock.wall()
    clock.move_to(now + 2)
    assert called == ["first", "second"]
    assert clock.time() == now + 2
    assert clock.wall() - before == pytest.approx(2)
    assert clock.next_due == now + 3


async def test_a_running_clock_calls_by_itself() -> None:
    clock = ProbeClock("auto", lambda: None)
    clock.move_to(clock.time() + HOUR)
    called = asyncio.Event()
    due = clock.time() + 0.01
    clock.call_at(due, called.set)
    async with asyncio.timeout(5):
        await called.wait()
    assert clock.time() >= due
    clock.close()


async def test_settled_jumps_to_the_timeout_of_a_handler() -> None:
    group, began = HandlerGroup(), []

    @group.handler(topic="jobs", timeout=HOUR, retry=HOURLY)
    async def handle(event: Event[Any]) -> None:
        began.append(event.attempt)
        if event.attempt < 3:
            await asyncio.Event().wait()

    listener = EventListener("kafka://localhost", group="shop")
    listener.add_handler_group(group)
    async with listener.test(patience=2) as probe:
        await probe.emit(Job())
        await probe.settled()
        assert began == [1, 2, 3]
        assert [type(one.error) for one in probe.failed] == [HandlerTimeout] * 2
        assert len(probe.handled) == 1


async def test_one_that_takes_its_time_is_not_cut_off() -> None:
    group = HandlerGroup()

    @group.handler(topic="jobs", timeout=HOUR)
    async def handle(event: Event[Any]) -> None:
        await asyncio.sleep(0.5)

    listener = EventListener("kafka://localhost", group="shop")
    listener.add_handler_group(group)
    async with listener.test() as probe:
        await probe.emit(Job())
        await probe.settled()
        assert len(probe.handled) == 1


async def test_one_without_a_timeout_is_still_reported() -> None:
    group, free = HandlerGroup(), asyncio.Event()

    @group.handler(topic="jobs")
    async def handle(event: Event[Any]) -> None:
        await free.wait()

    listener = EventListener("kafka://localhost", group="shop")
    listener.add_handler_group(group)
    async with listener.test(patience=0.5) as probe:
        await probe.emit(Job())
        with pytest.raises(Unsettled, match="still open after"):
            await probe.settled()
        free.set()
