"""The circuit breaker: its state by property, and in a listener."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dispytch import (
    CircuitBreaker,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Reject,
    RetryAfter,
    RetryPolicy,
    Skip,
)
from dispytch.circuit_breaker import Circuit
from dispytch.delivery.lanes import Lanes
from dispytch.delivery.workers import WorkerPool
from dispytch.exceptions import ConfigurationError
from dispytch.messages import Delivery, Lease

FAILURES = 3
PAUSE = 10.0
NEUTRAL = [Reject(), Skip(), RetryAfter(1)]


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


class CircuitModel(RuleBasedStateMachine):
    """A circuit beside the plainest model of it: a count, a time, and who is the probe."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.circuit = Circuit(CircuitBreaker(failures=FAILURES, pause=PAUSE), self.clock)
        self.running: list[object] = []
        self.failed = 0
        self.opened: float | None = None
        self.probe: object | None = None
        self.changes = self.seen_changes = 0
        self.circuit.on_change = self.changed

    def changed(self) -> None:
        self.seen_changes += 1

    @property
    def may_start(self) -> bool:
        if self.opened is None:
            return True
        return self.probe is None and self.clock.now >= self.opened + PAUSE

    @rule(seconds=st.sampled_from([0.5, PAUSE / 2, PAUSE]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.may_start)
    @rule()
    def an_event_starts(self) -> None:
        event = object()
        self.circuit.start(event)
        self.running.append(event)
        if self.opened is not None:
            self.probe = event

    @precondition(lambda self: self.running)
    @rule(data=st.data(), error=st.sampled_from([None, ValueError("down"), *NEUTRAL]))
    def an_attempt_ends(self, data: st.DataObject, error: Exception | None) -> None:
        event = data.draw(st.sampled_from(self.running))
        self.circuit.note(event, error)
        if (self.opened is not None and event is not self.probe) or error in NEUTRAL:
            return
        if error is None:
            self.changes += self.opened is not None
            self.failed, self.opened, self.probe = 0, None, None
            return
        self.failed += 1
        if self.opened is not None or self.failed >= FAILURES:
            self.opened, self.probe = self.clock.now, None
            self.changes += 1

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def an_event_ends(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.running))
        self.running.remove(event)
        self.circuit.finish(event)
        if self.probe is event:
            self.probe = None

    @invariant()
    def they_agree(self) -> None:
        assert self.circuit.allows() == self.may_start
        assert (self.circuit.problem is None) == (self.opened is None)
        waiting = self.opened is not None and self.probe is None
        assert self.circuit.next_probe == ((self.opened or 0) + PAUSE if waiting else None)
        assert self.seen_changes == self.changes


TestCircuit = CircuitModel.TestCase


@given(st.integers(1, 20), st.integers(0, 40))
def test_it_opens_after_so_many_failures_in_a_row(failures: int, made: int) -> None:
    circuit = Circuit(CircuitBreaker(failures=failures, pause=1), Clock())
    for _ in range(made):
        circuit.note(object(), ValueError())
    assert circuit.allows() == (made < failures)


def test_a_success_starts_the_count_again() -> None:
    circuit = Circuit(CircuitBreaker(failures=2, pause=1), Clock())
    for error in (ValueError(), None, ValueError(), Skip(), Reject(), RetryAfter(0)):
        circuit.note(object(), error)
    assert circuit.allows()
    circuit.note(object(), ValueError())
    assert not circuit.allows()


def test_the_problem_says_why_and_until_when() -> None:
    clock = Clock()
    circuit = Circuit(CircuitBreaker(failures=1, pause=30), clock)
    circuit.note(object(), ConnectionError("no route to the database"))
    assert circuit.problem == (
        "the circuit breaker is open, tried again in 30 s: 1 failures in a row, "
        "the last one ConnectionError: no route to the database"
    )
    clock.now += 31
    assert circuit.problem is not None
    assert "one at a time" in circuit.problem


@pytest.mark.parametrize("failures", [0, -1, 1.5, True, None])
def test_failures_must_be_a_positive_whole_number(failures: Any) -> None:
    with pytest.raises(ConfigurationError, match="failures"):
        CircuitBreaker(failures=failures)


@pytest.mark.parametrize("pause", [0, -1.0, inf, nan, "30", True, None])
def test_the_pause_must_be_positive_seconds(pause: Any) -> None:
    with pytest.raises(ConfigurationError, match="pause"):
        CircuitBreaker(pause=pause)


def test_a_listener_takes_nothing_else_as_a_circuit_breaker() -> None:
    with pytest.raises(ConfigurationError, match="circuit_breaker"):
        EventListener("memory://", group="g", circuit_breaker=3)  # type: ignore[arg-type]


class Pool:
    """A pool of workers whose events wait until they are told how to end."""

    def __init__(self, clock: Clock) -> None:
        self.lanes = Lanes("key")
        self.lease = Lease("orders", "orders[0]")
        self.clock = clock
        self.circuit = Circuit(CircuitBreaker(failures=1, pause=PAUSE), clock)
        self.running: dict[int, asyncio.Future[Exception | None]] = {}
        self.started: list[int] = []
        self._pool = WorkerPool(self.lanes, self._start, self._finish, 4, self.circuit)

    async def give(self, *positions: int) -> None:
        self.lanes.add(
            Delivery("orders", b"", str(one).encode(), (), self.lease, one) for one in positions
        )
        self._pool.wake()
        await settle()

    async def end(self, position: int, error: Exception | None) -> None:
        self.running.pop(position).set_result(error)
        await settle()

    async def pass_time(self) -> None:
        self.clock.now += PAUSE
        self._pool._resume()
        await settle()

    async def _start(self, event: Delivery, owed: object) -> None:
        self.started.append(event.position)
        self.circuit.start(event)
        try:
            ended = self.running[event.position] = asyncio.get_running_loop().create_future()
            self.circuit.note(event, await ended)
        finally:
            self.circuit.finish(event)

    def _finish(self, event: Delivery, owed: object) -> None:
        self.lanes.advance(event)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def pool_of_workers() -> AsyncIterator[Pool]:
    # The pool's own timer runs on the event loop's clock, where the pause is far away.
    pool = Pool(Clock(asyncio.get_running_loop().time() + 1000))
    pool._pool.start()
    try:
        yield pool
    finally:
        await pool._pool.close()


async def test_nothing_starts_while_it_is_open_and_what_runs_may_finish() -> None:
    async with pool_of_workers() as pool:
        await pool.give(1, 2)
        await pool.end(1, ValueError())
        await pool.give(3, 4)
        await pool.end(2, None)
        assert pool.started == [1, 2]
        assert not pool.circuit.allows()


async def test_one_event_at_a_time_is_tried_then_all() -> None:
    async with pool_of_workers() as pool:
        await pool.give(1)
        await pool.end(1, ValueError())
        await pool.give(2, 3, 4, 5, 6)
        await pool.pass_time()
        assert pool.started == [1, 2]
        await pool.end(2, ValueError())
        assert pool.started == [1, 2]
        await pool.pass_time()
        assert pool.started == [1, 2, 3]
        await pool.end(3, Skip())
        assert pool.started == [1, 2, 3, 4]
        await pool.end(4, None)
        assert pool.started == [1, 2, 3, 4, 5, 6]


async def test_all_start_once_a_probe_has_succeeded_though_it_still_runs() -> None:
    async with pool_of_workers() as pool:
        await pool.give(1)
        await pool.end(1, ValueError())
        await pool.give(2, 3, 4)
        await pool.pass_time()
        probe = pool.circuit._probe
        pool.circuit.note(probe, None)
        await settle()
        assert pool.started == [1, 2, 3, 4]


async def test_a_failed_probe_that_still_runs_does_not_hold_up_the_next() -> None:
    async with pool_of_workers() as pool:
        await pool.give(1)
        await pool.end(1, ValueError())
        await pool.give(2, 3)
        await pool.pass_time()
        probe = pool.circuit._probe
        pool.circuit.note(probe, ValueError())
        await settle()
        await pool.pass_time()
        assert pool.started == [1, 2, 3]


async def test_a_probe_that_is_cancelled_makes_room_for_the_next() -> None:
    async with pool_of_workers() as pool:
        await pool.give(1)
        await pool.end(1, ValueError())
        await pool.give(2, 3)
        await pool.pass_time()
        await pool._pool.cancelled(None)
        await settle()
        assert pool.started == [1, 2, 3]


async def test_what_is_dropped_while_it_is_open_never_starts() -> None:
    async with pool_of_workers() as pool:
        await pool.give(1)
        await pool.end(1, ValueError())
        await pool.give(2, 3)
        pool.lanes.drop([pool.lease])
        assert await pool._pool.quiet([pool.lease], 0)
        await pool.pass_time()
        assert pool.started == [1]


class Ordered(EventBase):
    __topic__ = "orders"
    __event_type__ = "ordered"
    __key__ = "{number}"

    number: int


@dataclass
class Shop:
    """A handler whose database is up or down, and a way to wait until something holds."""

    down: bool = True
    tried: list[int] = field(default_factory=list)
    handled: list[int] = field(default_factory=list)
    most: int = 0
    _inside: int = 0

    async def handle(self, event: Event[Ordered]) -> None:
        self.tried.append(event.body.number)
        self._inside += 1
        self.most = max(self.most, self._inside)
        try:
            await asyncio.sleep(0)
        finally:
            self._inside -= 1
        if self.down:
            raise ConnectionError("the database is down")
        self.handled.append(event.body.number)


async def until(met: Callable[[], bool]) -> None:
    for _ in range(5000):
        if met():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to that")


def listening(shop: Shop, url: str, *, pause: float, retry: RetryPolicy) -> EventListener:
    group = HandlerGroup(default_topic="orders")
    group.handler(retry=retry)(shop.handle)
    listener = EventListener(
        url, group="g", circuit_breaker=CircuitBreaker(failures=3, pause=pause)
    )
    listener.add_handler_group(group)
    return listener


OFTEN = RetryPolicy(attempts=1000, delay=0.001, jitter=False, factor=1)


async def test_a_listener_pauses_and_goes_on_without_losing_an_event() -> None:
    shop, url = Shop(), f"memory://{uuid4().hex}"
    async with (
        EventEmitter(url) as emitter,
        listening(shop, url, pause=0.05, retry=OFTEN) as listener,
    ):
        await emitter.emit_many([Ordered(number=number) for number in range(200)])
        await until(lambda: not_healthy(listener))
        health = await listener.health()
        assert any("circuit breaker is open" in problem for problem in health.problems)
        shop.down = False
        await until(lambda: len(shop.handled) == 200)
        assert (await listener.health()).healthy
        assert sorted(shop.handled) == list(range(200))
        assert listener.outcomes.dead_lettered == 0


async def test_while_it_is_open_it_tries_one_event_per_pause() -> None:
    shop, url = Shop(), f"memory://{uuid4().hex}"
    async with (
        EventEmitter(url) as emitter,
        listening(shop, url, pause=0.02, retry=OFTEN) as listener,
    ):
        await emitter.emit_many([Ordered(number=number) for number in range(100)])
        await until(lambda: not_healthy(listener))
        shop.most, before = 0, len(shop.tried)
        began = asyncio.get_running_loop().time()
        await until(lambda: len(shop.tried) >= before + 3)
        assert shop.most == 1
        assert asyncio.get_running_loop().time() - began >= 0.04


def not_healthy(listener: EventListener) -> bool:
    service = listener._service
    circuit = None if service is None else service._circuit
    return circuit is not None and circuit.problem is not None


async def test_it_stops_at_once_while_it_is_open_and_leaves_the_rest_to_the_broker() -> None:
    shop, url = Shop(), f"memory://{uuid4().hex}"
    async with EventEmitter(url) as emitter:
        async with listening(shop, url, pause=3600, retry=OFTEN) as listener:
            await emitter.emit_many([Ordered(number=number) for number in range(50)])
            await until(lambda: not_healthy(listener))
            async with asyncio.timeout(2):
                await listener.stop()
        assert shop.handled == []
        shop.down = False
        async with listening(shop, url, pause=3600, retry=OFTEN):
            await until(lambda: len(shop.handled) == 50)
    assert sorted(shop.handled) == list(range(50))


async def test_another_member_takes_over_what_has_not_started_while_it_is_open() -> None:
    broken, sound, url = Shop(), Shop(down=False), f"memory://{uuid4().hex}"
    async with (
        EventEmitter(url) as emitter,
        listening(broken, url, pause=3600, retry=OFTEN) as listener,
    ):
        await emitter.emit_many([Ordered(number=number) for number in range(200)])
        await until(lambda: not_healthy(listener))
        async with listening(sound, url, pause=3600, retry=OFTEN):
            await until(lambda: len(sound.handled) > 0)
            await listener.stop()
            await until(lambda: len(sound.handled) == 200)
    assert sorted(sound.handled) == list(range(200))
    assert broken.handled == []


async def test_a_probe_that_says_nothing_makes_room_for_the_next() -> None:
    url, outcomes = f"memory://{uuid4().hex}", [ValueError(), ValueError(), ValueError(), Skip()]
    handled: list[int] = []
    group = HandlerGroup(default_topic="orders")

    @group.handler(retry=OFTEN)
    async def handle(event: Event[Ordered]) -> None:
        if outcomes:
            raise outcomes.pop(0)
        handled.append(event.body.number)

    breaker = CircuitBreaker(failures=3, pause=0.01)
    listener = EventListener(url, group="g", concurrency=1, circuit_breaker=breaker)
    listener.add_handler_group(group)
    async with EventEmitter(url) as emitter, listener:
        await emitter.emit_many([Ordered(number=number) for number in range(20)])
        await until(lambda: len(handled) == 19)
        assert listener.outcomes.skipped == 1
