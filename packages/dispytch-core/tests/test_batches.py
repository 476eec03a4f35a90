"""Handlers that take several events at once, as their author sees them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from dispytch import (
    Batch,
    BatchFailed,
    CircuitBreaker,
    DeadLetters,
    Dependency,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Idempotent,
    Reject,
    RetryAfter,
    RetryPolicy,
    Skip,
)
from dispytch.batch import NextBatch
from dispytch.exceptions import DispytchError, HandlerTimeout


class Reading(EventBase):
    __topic__ = "readings"
    __event_type__ = "reading"
    __key__ = "{sensor}"

    number: int
    sensor: str = "a"


class Body(BaseModel):
    number: int
    sensor: str = "a"


Fail = Callable[[Event[Body]], Exception | None]


@dataclass
class Sink:
    """A batch handler that notes what it is given, and fails as it is told to."""

    fail: Fail = lambda event: None
    batches: list[list[int]] = field(default_factory=list)
    attempts: list[list[int]] = field(default_factory=list)

    async def __call__(self, events: list[Event[Body]]) -> None:
        self.batches.append([event.body.number for event in events])
        self.attempts.append([event.attempt for event in events])
        failures = {
            index: error
            for index, event in enumerate(events)
            if (error := self.fail(event)) is not None
        }
        if failures:
            raise BatchFailed(failures)


def listening(handler: Callable[..., Any], batch: Batch, **options: Any) -> EventListener:
    of_listener = {
        name: options.pop(name)
        for name in ("ordering", "circuit_breaker", "middlewares", "max_in_flight", "dead_letter")
        if name in options
    }
    group = HandlerGroup()
    group.handler(topic="readings", event="reading", batch=batch, **options)(handler)
    listener = EventListener("memory://batches", group="g", **of_listener)
    listener.add_handler_group(group)
    return listener


def readings(*numbers: int, sensor: str = "a") -> Sequence[Reading]:
    return [Reading(number=number, sensor=sensor) for number in numbers]


def thrice(error: type[Exception] = Exception, *, delayed: bool = False) -> RetryPolicy:
    return RetryPolicy(
        attempts=3, delay=10, factor=1, jitter=False, retry_on=error, delayed=delayed
    )


def failing(*numbers: int, error: Exception | None = None) -> Fail:
    failure = error or LookupError("no such sensor")
    return lambda event: failure if event.body.number in numbers else None


async def test_a_full_batch_is_handed_out_at_once_and_the_rest_after_the_wait() -> None:
    sink = Sink()
    async with listening(sink, Batch(3, wait=60)).test(clock="manual") as probe:
        await probe.emit_many(readings(1, 2, 3, 4, 5))
        await probe.settled()
        assert sink.batches == [[1, 2, 3]]
        assert (await probe.health()).in_flight == 2
        await probe.advance(59)
        assert sink.batches == [[1, 2, 3]]
        await probe.advance(2)
        assert sink.batches == [[1, 2, 3], [4, 5]]
        assert (await probe.health()).in_flight == 0
        assert probe.outcomes.handled == 5
        assert probe.handled.bodies == [Body(number=number) for number in range(1, 6)]


async def test_a_probe_with_a_clock_of_its_own_waits_for_no_batch() -> None:
    sink = Sink()
    async with listening(sink, Batch(100, wait=250)).test() as probe:
        await probe.emit_many(readings(1, 2))
        await probe.settled()
        assert sink.batches == [[1, 2]]


async def test_a_batch_handler_has_a_record_for_each_of_its_events() -> None:
    async def store(events: list[Event[Body]]) -> None:
        """Store them."""

    async with listening(store, Batch(2)).test() as probe:
        await probe.emit_many(readings(1, 2))
        await probe.settled()
        records = probe.handled.by(store)
        assert [record.body.number for record in records] == [1, 2]


async def test_only_the_failed_are_retried_and_dead_lettered() -> None:
    sink = Sink(failing(2, 4))
    listener = listening(sink, Batch(5, wait=1), retry=thrice())
    async with listener.test() as probe:
        await probe.emit_many(readings(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
        await probe.settled()
        assert sink.batches == [[1, 2, 3, 4, 5], [2, 4], [2, 4], [6, 7, 8, 9, 10]]
        assert sink.attempts[:3] == [[1] * 5, [2, 2], [3, 3]]
        assert [letter.event.body.number for letter in probe.dead_lettered if letter.event] == [
            2,
            4,
        ]
        assert {letter.attempts for letter in probe.dead_lettered} == {3}
        assert probe.outcomes.handled == 8
        assert probe.outcomes.retried == 4


async def test_any_other_exception_fails_all_of_the_batch() -> None:
    sink = Sink()

    async def store(events: Sequence[Event[Body]]) -> None:
        await sink(list(events))
        if len(sink.batches) == 1:
            raise ConnectionError("no database")

    async with listening(store, Batch(2, wait=1), retry=thrice()).test() as probe:
        await probe.emit_many(readings(1, 2, 3, 4))
        await probe.settled()
        assert sink.batches == [[1, 2], [1, 2], [3, 4]]
        assert len(probe.failed) == 2


async def test_decisions_mean_in_a_batch_what_they_mean_alone() -> None:
    decisions: dict[int, Exception] = {
        1: Reject("broken"),
        2: Skip("known"),
        3: RetryAfter(30),
        4: LookupError("a retry helps"),
    }
    sink = Sink(lambda event: decisions.get(event.body.number) if event.attempt == 1 else None)
    listener = listening(sink, Batch(6, wait=1), retry=thrice(LookupError))
    async with listener.test(clock="manual") as probe:
        await probe.emit_many(readings(1, 2, 3, 4, 5, 6, 7))
        await probe.advance(11)
        assert sink.batches == [[1, 2, 3, 4, 5, 6], [4]], "RetryAfter holds nothing else of it up"
        await probe.advance(20)
        assert sink.batches[2:] == [[3], [7]]
        [letter] = probe.dead_lettered
        assert letter.reason == "rejected"
        assert [record.body.number for record in probe.skipped] == [2]
        assert (probe.outcomes.handled, probe.outcomes.skipped) == (5, 1)
        assert len(probe.failed) == 3


async def test_what_cannot_be_read_goes_its_own_way() -> None:
    sink = Sink()
    async with listening(sink, Batch(5, wait=1)).test() as probe:
        await probe.emit_many(readings(1))
        headers = {"ce_specversion": "1.0", "ce_id": "x", "ce_source": "s", "ce_type": "reading"}
        await probe.send("readings", '{"number": "none"}', key="a", headers=headers)
        await probe.send("readings", "{", key="a", headers=headers)
        await probe.send("readings", "{}", key="a", headers={**headers, "ce_type": "other"})
        await probe.emit_many(readings(2))
        await probe.settled()
        assert sink.batches == [[1, 2]]
        assert sorted(letter.reason for letter in probe.dead_lettered) == ["invalid", "undecodable"]
        assert [record.event_type for record in probe.unhandled] == ["other"]


async def test_the_order_of_a_key_is_kept_from_batch_to_batch() -> None:
    sink = Sink(lambda event: LookupError("at first") if event.attempt == 1 else None)
    listener = listening(sink, Batch(3, wait=1, by="key"), retry=thrice())
    async with listener.test() as probe:
        for sensor in "ab":
            await probe.emit_many(readings(*range(7), sensor=sensor))
        await probe.settled()
        seen = [
            [record.body.number for record in probe.handled if record.body.sensor == sensor]
            for sensor in "ab"
        ]
        assert seen == [list(range(7))] * 2
        assert len(probe.failed) == 14


@pytest.mark.parametrize("by", ["topic", "key"])
async def test_a_batch_has_events_of_one_stream_or_of_one_key(by: Any) -> None:
    batches: list[tuple[set[str], set[str | None]]] = []

    async def store(events: list[Event[Body]]) -> None:
        batches.append(({event.stream for event in events}, {event.key for event in events}))

    async with listening(store, Batch(50, wait=1, by=by)).test() as probe:
        for number in range(40):
            await probe.emit_many(readings(number, sensor=f"s{number % 20}"))
        await probe.settled()
        assert len(probe.handled) == 40
    streams = [next(iter(streams)) for streams, _ in batches]
    assert all(len(streams) == 1 for streams, _ in batches)
    if by == "topic":
        assert len(streams) == len(set(streams)) < 20
    else:
        assert sorted(key for _, keys in batches for key in keys) == sorted(
            f"s{number}" for number in range(20)
        )


async def test_a_delayed_attempt_comes_back_as_a_batch_of_one() -> None:
    sink = Sink(failing(2, 3))
    listener = listening(sink, Batch(3, wait=1), retry=thrice(delayed=True))
    async with listener.test() as probe:
        await probe.emit_many(readings(1, 2, 3, 4))
        await probe.settled()
        assert sink.batches[0] == [1, 2, 3]
        assert sorted(sink.batches[1:]) == [[2], [2], [3], [3], [4]]
        assert sink.batches[1] == [4], "what waits at the broker holds nothing up"
        assert probe.outcomes.delayed == 4
        assert len(probe.dead_lettered) == 2


async def test_a_replay_reaches_a_batch_handler() -> None:
    sink = Sink(failing(2))
    async with listening(sink, Batch(2, wait=1)).test() as probe:
        await probe.emit_many(readings(1, 2))
        await probe.settled()
        assert len(probe.dead_lettered) == 1
        sink.fail = failing()
        assert await DeadLetters(probe.backend, group="g", topic="readings").replay() == 1
        await probe.settled()
        assert sink.batches == [[1, 2], [2]]


async def test_a_batch_that_runs_too_long_fails() -> None:
    async def store(events: list[Event[Body]]) -> None:
        await asyncio.Event().wait()

    async with listening(store, Batch(2), timeout=5).test(clock="manual") as probe:
        await probe.emit_many(readings(1, 2))
        await probe.advance(6)
        assert all(isinstance(one.error, HandlerTimeout) for one in probe.failed)
        assert len(probe.dead_lettered) == 2


async def test_a_dead_letter_that_is_refused_leaves_its_event_unsettled() -> None:
    sink = Sink(failing(1))
    async with listening(sink, Batch(2, wait=1)).test(clock="manual") as probe:
        probe.fail_dead_letters(times=2)
        await probe.emit_many(readings(1, 2, 3))
        await probe.advance(0)
        assert (await probe.health()).in_flight == 2, "1 and 3, but not 2, which was handled"
        assert sink.batches == [[1, 2]]
        await probe.advance(10)
        assert sink.batches == [[1, 2], [3]]
        assert len(probe.dead_lettered) == 1
        assert probe.outcomes.unsent == 2


async def test_dependencies_are_made_once_for_a_batch() -> None:
    made: list[int] = []
    seen: list[Any] = []

    def get_size(events: list[Event[Body]]) -> int:
        made.append(len(events))
        return len(events)

    def get_pool() -> object:
        made.append(0)
        return seen

    def store(
        size: Annotated[int, Dependency(get_size)],
        pool: Annotated[object, Dependency(get_pool, scope="app")],
        emitter: EventEmitter,
        events: list[Event[Body]],
    ) -> None:
        seen.append((size, pool is seen, isinstance(emitter, EventEmitter), len(events)))

    async with listening(store, Batch(2, wait=1)).test() as probe:
        await probe.emit_many(readings(1, 2, 3))
        await probe.settled()
    assert seen == [(2, True, True, 2), (1, True, True, 1)]
    assert made == [0, 2, 1]


async def test_batches_of_a_pattern_hold_events_of_what_it_matches() -> None:
    batches: list[set[str]] = []
    group = HandlerGroup()

    @group.handler(topic="logs.#", batch=Batch(10, wait=1))
    async def store(events: list[Event]) -> None:
        batches.append({event.topic for event in events})

    listener = EventListener("memory://batches", group="g")
    listener.add_handler_group(group)
    async with listener.test() as probe:
        for topic in ("logs.a", "logs.b.c", "logs.a"):
            await probe.send(topic, "{}", key="k")
        await probe.settled()
        assert len(probe.handled) == 3
    assert set().union(*batches) == {"logs.a", "logs.b.c"}


async def test_events_of_other_handlers_go_on_one_by_one() -> None:
    sink, alone = Sink(), []
    listener = listening(sink, Batch(2, wait=50))
    others = HandlerGroup()

    @others.handler(topic="others")
    async def one(event: Event[Any]) -> None:
        alone.append(event.body)

    listener.add_handler_group(others)
    async with listener.test(clock="manual") as probe:
        await probe.emit_many(readings(1))
        await probe.send("others", "1", key="a")
        await probe.settled()
        assert (alone, sink.batches) == ([1], [])
        await probe.advance(50)
        assert sink.batches == [[1]]


async def test_a_window_that_is_full_waits_for_no_batch() -> None:
    sink = Sink()
    listener = listening(sink, Batch(4, wait=200, by="key"), max_in_flight=8)
    async with listener.test(clock="manual") as probe:
        for number in range(32):
            await probe.emit_many(readings(number, sensor=f"s{number}"))
        await probe.settled()
        assert len(sink.batches) > 8, "one event of each key, and no wait of 200 s for more"


async def test_what_has_not_started_is_left_to_the_broker_by_a_stop_and_a_crash() -> None:
    sink = Sink()
    async with listening(sink, Batch(3, wait=60)).test(clock="manual") as probe:
        await probe.emit_many(readings(1, 2))
        await probe.settled()
        await probe.stop()
        assert sink.batches == []
        await probe.start()
        await probe.emit_many(readings(3))
        await probe.settled()
        assert sink.batches == [[1, 2, 3]]
        await probe.emit_many(readings(4))
        await probe.settled()
        await probe.crash()
        await probe.start()
        await probe.advance(61)
        assert sink.batches == [[1, 2, 3], [4]]


async def test_a_batch_that_fails_whole_is_one_failure_for_the_circuit_breaker() -> None:
    sink = Sink(lambda event: ConnectionError("down") if event.attempt <= 2 else None)
    breaker = CircuitBreaker(failures=2, pause=100)
    listener = listening(sink, Batch(4), retry=thrice(), circuit_breaker=breaker)
    async with listener.test(clock="manual") as probe:
        await probe.emit_many(readings(1, 2, 3, 4))
        await probe.settled()
        assert not (await probe.health()).problems
        await probe.advance(11)
        assert any("circuit breaker" in problem for problem in (await probe.health()).problems)
        await probe.advance(80)
        assert len(sink.batches) == 2
        await probe.advance(30)
        assert len(sink.batches) == 3
        assert not (await probe.health()).problems
        assert len(probe.failed) == 8


async def test_one_event_that_is_handled_says_that_the_world_is_well() -> None:
    sink = Sink(failing(1, error=ConnectionError("one row is locked")))
    breaker = CircuitBreaker(failures=2, pause=100)
    listener = listening(sink, Batch(2), circuit_breaker=breaker)
    async with listener.test(clock="manual") as probe:
        for _ in range(4):
            await probe.emit_many(readings(1, 2))
        await probe.settled()
        assert len(sink.batches) == len(probe.dead_lettered) == 4
        assert not (await probe.health()).problems


async def test_what_comes_back_to_the_group_is_no_batch_of_a_pattern_that_matches_its_topic() -> (
    None
):
    sink = Sink(lambda event: LookupError() if event.attempt == 1 else None)
    group = HandlerGroup()
    group.handler(topic="#", batch=Batch(5, wait=60), retry=thrice(delayed=True))(sink)
    listener = EventListener("memory://batches", group="g")
    listener.add_handler_group(group)
    async with listener.test(clock="manual") as probe:
        await probe.emit_many(readings(1, 2))
        await probe.advance(60)
        await probe.advance(11)
        assert sorted(sink.batches) == [[1], [1, 2], [2]]
        await probe.send("g.retry", '{"number": 3}')
        await probe.settled()
        assert [letter.reason for letter in probe.dead_lettered] == ["undecodable"]
        assert len(sink.batches) == 3, "nobody knows what it is a retry of"


async def test_indexes_beyond_the_batch_fail_all_of_it() -> None:
    async def store(events: list[Event[Body]]) -> None:
        raise BatchFailed({0: LookupError(), len(events): LookupError()})

    async with listening(store, Batch(2)).test() as probe:
        await probe.emit_many(readings(1, 2))
        await probe.settled()
        assert [str(one.error) for one in probe.failed] == [
            "BatchFailed names event #2 of a batch of 2: indexes count from 0, in the list that "
            "the handler or middleware was given"
        ] * 2
        assert all(isinstance(one.error, DispytchError) for one in probe.dead_lettered)


async def test_a_traceback_that_all_events_share_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def store(events: list[Event[Body]]) -> None:
        raise LookupError("all of them")

    async with listening(store, Batch(3)).test() as probe:
        await probe.emit_many(readings(1, 2, 3))
        await probe.settled()
        assert len(probe.dead_lettered) == 3
    told = [record for record in caplog.records if record.message.startswith("given up")]
    assert [record.exc_info is not None for record in told] == [True, False, False]


class Around:
    """Notes what passes, and may keep some events back."""

    def __init__(self, keep: Callable[[Event[Any]], bool] = lambda event: False) -> None:
        self.keep = keep
        self.notes: list[object] = []

    async def __call__(
        self, event: Event[Any], call_next: Callable[[Event[Any]], Awaitable[Any]]
    ) -> Any:
        self.notes.append("one")
        return await call_next(event)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch) -> None:
        self.notes.append([event.body.number for event in events])
        try:
            await call_next([event for event in events if not self.keep(event)])
        except BatchFailed as failed:
            self.notes.append(list(failed.failures))
            raise


async def test_middlewares_go_around_a_batch_and_may_keep_some_events_back() -> None:
    outer, inner = Around(), Around(lambda event: event.body.number % 2 == 0)
    sink = Sink(failing(5))
    listener = listening(sink, Batch(6), middlewares=[outer, inner])
    async with listener.test() as probe:
        await probe.emit_many(readings(1, 2, 3, 4, 5, 6))
        await probe.settled()
        assert sink.batches == [[1, 3, 5]]
        assert outer.notes == inner.notes == [[1, 2, 3, 4, 5, 6], [4]]
        [letter] = probe.dead_lettered
        assert letter.event is not None
        assert letter.event.body.number == 5
        assert probe.outcomes.handled == 5


async def test_what_a_middleware_keeps_back_has_not_failed_with_the_others() -> None:
    async def store(events: list[Event[Body]]) -> None:
        raise LookupError

    around = Around(lambda event: event.body.number == 2)
    async with listening(store, Batch(3), middlewares=[around]).test() as probe:
        await probe.emit_many(readings(1, 2, 3))
        await probe.settled()
        assert around.notes == [[1, 2, 3], [0, 2]]
        assert [record.body.number for record in probe.handled] == [2]
        assert len(probe.dead_lettered) == 2


async def test_duplicates_in_and_among_batches_are_skipped() -> None:
    sink = Sink(
        lambda event: LookupError() if event.attempt == 1 and event.body.number == 3 else None
    )
    listener = listening(sink, Batch(4), middlewares=[Idempotent()], retry=thrice())
    first, second, third, fourth = readings(1, 2, 3, 4)
    async with listener.test() as probe:
        await probe.emit_many([first, second, first, third])
        await probe.settled()
        await probe.emit_many([second, third, fourth, fourth])
        await probe.settled()
        assert sink.batches == [[1, 2, 3], [3], [4]]
        assert [record.body.number for record in probe.skipped] == [1, 2, 3, 4]
        assert len(probe.failed) == 1


async def test_a_fault_that_a_test_asks_for_reaches_a_batch() -> None:
    sink = Sink()
    async with listening(sink, Batch(2), retry=thrice()).test() as probe:
        probe.fail(sink, BatchFailed({1: LookupError()}))
        await probe.emit_many(readings(1, 2))
        await probe.settled()
        assert sink.batches == [[2]]


async def test_without_an_order_batches_run_beside_each_other() -> None:
    inside = most = 0
    gate = asyncio.Event()

    async def store(events: list[Event[Body]]) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 3:
            gate.set()
        await gate.wait()
        inside -= 1

    async with listening(store, Batch(1), ordering="none").test() as probe:
        await probe.emit_many(readings(1, 2, 3))
        await probe.settled()
    assert most == 3
