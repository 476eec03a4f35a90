"""An event is handled once, although it is delivered more often."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf, nan
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch import (
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    IdempotencyStore,
    Idempotent,
    MemoryStore,
    RetryPolicy,
    Skip,
)
from dispytch.envelope import Envelope
from dispytch.exceptions import ConfigurationError
from dispytch.messages import Delivery, Lease
from dispytch.middleware import Middleware, Next, wrap


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Store:
    """Remembers for ever; its methods fail as often as they are told to."""

    keys: dict[str, float] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    async def seen(self, key: str, /) -> bool:
        self._fail("seen")
        return key in self.keys

    async def remember(self, key: str, ttl: float, /) -> None:
        self._fail("remember")
        self.keys[key] = ttl

    def _fail(self, method: str) -> None:
        if self.failures.get(method, 0):
            self.failures[method] -= 1
            raise ConnectionError("the store does not answer")


@dataclass
class Handler:
    """Fails as often as it is told to; can be held up by a gate."""

    failures: list[Exception] = field(default_factory=list)
    gate: asyncio.Event | None = None
    runs: int = 0
    inside: int = 0
    most: int = 0

    async def __call__(self, event: Event[Any]) -> str:
        self.runs += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.inside -= 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def an_event(
    event_id: str = "1",
    source: str | None = "shop",
    *,
    handler: str = "shop.handle",
    topic: str = "orders",
    position: int = 7,
) -> Event[Any]:
    lease = Lease(topic, f"{topic}[0]")
    return Event(
        {},
        Envelope(event_id, "ordered", source, None, "application/json", b"{}"),
        Delivery(topic, b"{}", None, (), lease, position),
        1,
        handler,
    )


async def skipped(run: Next, event: Event[Any]) -> bool:
    try:
        assert await run(event) == "done"
    except Skip:
        return True
    return False


async def test_what_was_handled_is_skipped() -> None:
    handler = Handler()
    run = wrap(handler, [Idempotent()])
    assert [await skipped(run, an_event(position=place)) for place in (1, 1, 2)] == [
        False,
        True,
        True,
    ]
    assert handler.runs == 1


@pytest.mark.parametrize(
    "other",
    [
        an_event("2"),
        an_event(source="warehouse"),
        an_event(source=None),
        an_event(handler="shop.other"),
    ],
)
async def test_another_id_source_or_handler_is_another_event(other: Event[Any]) -> None:
    run = wrap(Handler(), [Idempotent()])
    assert not await skipped(run, an_event())
    assert not await skipped(run, other)


async def test_an_event_is_one_whatever_topic_it_comes_by_if_it_has_a_source() -> None:
    run = wrap(Handler(), [Idempotent()])
    assert not await skipped(run, an_event())
    assert await skipped(run, an_event(topic="orders.copy"))


@pytest.mark.parametrize("source", [None, ""])
async def test_an_id_without_a_source_counts_within_its_topic(source: str | None) -> None:
    run = wrap(Handler(), [Idempotent()])
    assert not await skipped(run, an_event(source=source))
    assert await skipped(run, an_event(source=source, position=8))
    assert not await skipped(run, an_event(source=source, topic="returns"))


async def test_an_event_that_has_no_id_of_its_own_is_never_skipped() -> None:
    handler, store = Handler(), Store()
    run = wrap(handler, [Idempotent(store)])
    for _ in range(2):
        assert not await skipped(run, an_event("orders[0]/7", None, position=7))
    assert store.keys == {}


@given(st.lists(st.tuples(*[st.text("a/ \",[]n'\\é", max_size=3)] * 3), unique=True, max_size=8))
def test_keys_are_as_different_as_the_events(names: Sequence[tuple[str, str, str]]) -> None:
    async def run() -> None:
        store = Store()
        around = wrap(Handler(), [Idempotent(store)])
        for handler, source, event_id in names:
            assert not await skipped(around, an_event(event_id, source, handler=handler))
        assert len(store.keys) == len(names)
        assert all(key.isascii() for key in store.keys)

    asyncio.run(run())


@pytest.mark.parametrize("failure", [ValueError(), Skip("not mine")])
async def test_a_handler_that_does_not_return_leaves_no_mark(failure: Exception) -> None:
    handler, store = Handler([failure]), Store()
    run = wrap(handler, [Idempotent(store)])
    with pytest.raises(type(failure)):
        await run(an_event())
    assert store.keys == {}
    assert not await skipped(run, an_event())
    assert handler.runs == 2


async def test_a_cancelled_handler_leaves_no_mark() -> None:
    handler, store = Handler(gate=asyncio.Event()), Store()
    run = wrap(handler, [Idempotent(store)])
    task = asyncio.ensure_future(run(an_event()))
    await settle()
    task.cancel()
    await asyncio.wait([task])
    handler.gate = None
    assert not await skipped(run, an_event())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_second_of_two_at_once_waits_and_is_skipped() -> None:
    handler = Handler(gate=asyncio.Event())
    run = wrap(handler, [Idempotent()])
    tasks = [asyncio.create_task(skipped(run, an_event())) for _ in range(3)]
    other = asyncio.create_task(skipped(run, an_event("2")))
    await settle()
    assert handler.runs == 2
    assert handler.gate is not None
    handler.gate.set()
    assert await asyncio.gather(*tasks, other) == [False, True, True, False]
    assert handler.runs == 2


async def test_the_second_of_two_at_once_runs_when_the_first_has_failed() -> None:
    handler = Handler([ValueError()], gate=asyncio.Event())
    run = wrap(handler, [Idempotent()])
    tasks = [asyncio.create_task(skipped(run, an_event())) for _ in range(3)]
    await settle()
    assert handler.gate is not None
    handler.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], ValueError)
    assert results[1:] == [False, True]
    assert (handler.runs, handler.most) == (2, 1)


async def test_who_is_cancelled_while_waiting_disturbs_nobody() -> None:
    handler = Handler(gate=asyncio.Event())
    idempotent = Idempotent()
    run = wrap(handler, [idempotent])
    first, second = (asyncio.create_task(skipped(run, an_event())) for _ in range(2))
    await settle()
    second.cancel()
    await asyncio.wait([second])
    assert handler.gate is not None
    handler.gate.set()
    assert not await first
    assert idempotent._running == {}


async def test_one_that_is_around_a_handler_twice_does_not_wait_for_itself() -> None:
    handler, idempotent = Handler(), Idempotent()
    run = wrap(handler, [idempotent, idempotent])
    assert not await skipped(run, an_event())
    assert await skipped(run, an_event())
    assert handler.runs == 1


@pytest.mark.parametrize(("method", "runs"), [("seen", 1), ("remember", 2)])
async def test_an_error_of_the_store_is_one_of_the_handler(method: str, runs: int) -> None:
    handler, store = Handler(), Store(failures={method: 1})
    run = wrap(handler, [Idempotent(store)])
    with pytest.raises(ConnectionError):
        await run(an_event())
    assert not await skipped(run, an_event())
    assert await skipped(run, an_event())
    assert handler.runs == runs


@pytest.mark.parametrize(("ttl", "seconds"), [(timedelta(minutes=1), 60.0), (5, 5.0), (0.5, 0.5)])
async def test_the_store_is_told_how_long(ttl: timedelta | float, seconds: float) -> None:
    store = Store()
    await wrap(Handler(), [Idempotent(store, ttl)])(an_event())
    assert store.keys == {json.dumps(["shop.handle", "shop", "1"]): seconds}


@pytest.mark.parametrize("ttl", [0, -1, timedelta(0), timedelta(-1), inf, nan, True, "1", None])
def test_the_time_must_be_positive(ttl: Any) -> None:
    with pytest.raises(ConfigurationError, match="ttl"):
        Idempotent(ttl=ttl)


def test_a_store_must_have_the_methods() -> None:
    store: Any = {}
    with pytest.raises(ConfigurationError, match="seen and remember"):
        Idempotent(store)


@pytest.mark.parametrize("max_size", [0, -1, 1.5, True, None])
def test_a_size_must_be_a_positive_whole_number(max_size: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_size"):
        MemoryStore(max_size)


def test_they_are_what_they_say() -> None:
    store: IdempotencyStore = MemoryStore()
    middleware: Middleware = Idempotent(store)
    assert isinstance(store, IdempotencyStore)
    assert callable(middleware)


steps = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(1, 5)) | st.integers(1, 4), max_size=40
)


@given(steps, st.integers(1, 4))
def test_the_memory_store_is_bounded_and_forgets_in_time(
    steps: Sequence[tuple[str, int] | int], max_size: int
) -> None:
    async def run() -> None:
        clock = Clock()
        store = MemoryStore(max_size, clock=clock)
        expiry: dict[str, float] = {}
        for step in steps:
            if isinstance(step, int):
                clock.now += step
            else:
                key, ttl = step
                await store.remember(key, ttl)
                expiry.pop(key, None)
                expiry[key] = clock.now + ttl
                assert await store.seen(key)
            assert len(store) <= max_size
            # What is gone before its time has made room for others.
            newest = list(expiry)[-max_size:]
            for key in "abcdef":
                alive = expiry.get(key, 0) > clock.now
                assert await store.seen(key) == (alive and key in newest)

    asyncio.run(run())


async def test_the_memory_store_keeps_nothing_whose_time_is_over() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    for number in range(100):
        await store.remember(str(number), 10)
    clock.now += 10
    assert not await store.seen("99")
    await store.remember("new", 10)
    assert len(store) == 1


class Ordered(EventBase):
    __topic__ = "orders"
    __event_type__ = "ordered"
    __key__ = "one lane, so that the last event is the last to be handled"

    number: int


async def test_a_listener_counts_duplicates_as_skipped() -> None:
    url, handled = f"memory://{uuid4().hex}", list[tuple[str, int]]()
    finished = asyncio.Event()
    orders = HandlerGroup(default_topic="orders", middlewares=[Idempotent()])

    @orders.handler()
    async def ship(event: Event[Ordered]) -> None:
        handled.append((event.handler.rpartition(".")[2], event.body.number))

    @orders.handler(retry=RetryPolicy(attempts=2, delay=0))
    async def bill(event: Event[Ordered]) -> None:
        if event.attempt == 1 and event.body.number == 1:
            raise ValueError
        handled.append((event.handler.rpartition(".")[2], event.body.number))
        if event.body.number == 2:
            finished.set()

    listener = EventListener(url, group="g")
    listener.add_handler_group(orders)
    async with EventEmitter(url) as emitter, listener:
        first, last = Ordered(number=1), Ordered(number=2)
        for event in (first, first, first, last):
            await emitter.emit(event)
        async with asyncio.timeout(5):
            await finished.wait()
    assert sorted(handled) == [("bill", 1), ("bill", 2), ("ship", 1), ("ship", 2)]
    assert listener.outcomes.skipped == 4
    assert listener.outcomes.handled == 4
