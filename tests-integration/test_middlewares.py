"""The middlewares that come with dispytch, together, on every backend."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from dispytch import (
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Reject,
    RetryAfter,
)
from dispytch.middleware import (
    ConcurrencyLimit,
    Filter,
    Log,
    Middleware,
    Next,
    RateLimit,
    Run,
    Timing,
    map_exceptions,
)

PATIENCE = 30.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_limits_filters_and_mappings_lose_nothing_and_keep_order(
    broker_url: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic, going_on, most = f"orders.{unique}", 0, 0
    handled: dict[str, list[int]] = defaultdict(list)
    starts: list[float] = []
    tries: Counter[int] = Counter()
    caplog.set_level(logging.INFO, "dispytch.handlers")

    class Placed(EventBase):
        __topic__ = topic
        __event_type__ = "placed"
        __key__ = "{tenant}"

        tenant: str
        number: int

    group = HandlerGroup(middlewares=[Log(), Filter(lambda event: event.body.number != 7)])

    @group.handler(
        topic=topic,
        middlewares=[
            map_exceptions({TimeoutError: RetryAfter(0.05), ValueError: Reject}),
            RateLimit(100, burst=5),
            ConcurrencyLimit(2),
        ],
    )
    async def handle(event: Event[Placed]) -> None:
        nonlocal going_on, most
        starts.append(asyncio.get_running_loop().time())
        going_on += 1
        most = max(most, going_on)
        try:
            await asyncio.sleep(0.01)
            number = event.body.number
            tries[number] += 1
            if number == 3 and tries[number] <= 10:
                raise TimeoutError
            if number == 5:
                raise ValueError("five")
            handled[event.body.tenant].append(number)
        finally:
            going_on -= 1

    listener = EventListener(broker_url, group=f"shop.{unique}", concurrency=16)
    listener.add_handler_group(group)
    async with listener, EventEmitter(broker_url) as emitter:
        began = asyncio.get_running_loop().time()
        await emitter.emit_many(
            [Placed(tenant=f"tenant {n % 10}", number=n // 10) for n in range(100)]
        )
        outcomes = listener.outcomes
        await until(lambda: outcomes.handled + outcomes.skipped + outcomes.dead_lettered == 100)
    assert handled == {f"tenant {n}": [0, 1, 2, 3, 4, 6, 8, 9] for n in range(10)}
    assert (outcomes.handled, outcomes.skipped, outcomes.dead_lettered) == (80, 10, 10)
    assert outcomes.retried == 10
    assert outcomes.postponed > 0
    assert most == 2
    assert len(starts) == 100
    assert starts[-1] - began >= (100 - 5) / 100
    endings = Counter(
        record.__dict__["ending"] for record in caplog.records if record.name == "dispytch.handlers"
    )
    assert endings == {"handled": 80, "skipped": 10, "rejected": 10, "retry_after": 10}


async def test_middlewares_of_each_level_go_around_each_run_in_their_order(
    broker_url: str, unique: str
) -> None:
    topic, runs = f"jobs.{unique}", list[Run]()
    seen: dict[int, list[str]] = defaultdict(list)
    starts: dict[str, list[float]] = defaultdict(list)

    class Job(EventBase):
        __topic__ = topic
        __event_type__ = "job"

        number: int
        tenant: str

    def named(name: str) -> Middleware:
        async def middleware(event: Event[Job], call_next: Next) -> Any:
            lines = seen[event.body.number]
            lines.append(name)
            try:
                result = await call_next(event)
            except LookupError as error:
                lines.append(f"{name}: {error}")
                raise
            lines.append(f"{name}: {result}")
            return result

        return middleware

    async def from_the_cache(event: Event[Job], call_next: Next) -> Any:
        return "cached" if event.body.number == 2 else await call_next(event)

    paced = RateLimit(4, key=lambda event: event.body.tenant)
    inner = HandlerGroup(topic, "job", middlewares=[named("inner")])
    outer = HandlerGroup(middlewares=[named("outer")])
    outer.add_handler_group(inner)

    @inner.handler(middlewares=[from_the_cache, named("own")])
    async def work(event: Event[Job]) -> str:
        starts[event.body.tenant].append(asyncio.get_running_loop().time())
        if event.body.number == 1:
            raise LookupError("gone")
        return "done"

    around_all = [Timing(runs.append), paced, named("listener")]
    listener = EventListener(broker_url, group=f"work.{unique}", middlewares=around_all)
    listener.add_handler_group(outer)
    jobs = [Job(number=number, tenant="ab"[number % 2]) for number in range(10)]
    async with listener, EventEmitter(broker_url) as emitter:
        began = asyncio.get_running_loop().time()
        await emitter.emit_many(jobs)
        outcomes = listener.outcomes
        await until(lambda: outcomes.handled + outcomes.dead_lettered == 10)
    way = ["listener", "outer", "inner", "own"]

    def there_and_back(names: list[str], what: str) -> list[str]:
        return names + [f"{name}: {what}" for name in reversed(names)]

    expected = {number: there_and_back(way, "done") for number in range(10)}
    expected[1] = there_and_back(way, "gone")
    expected[2] = there_and_back(way[:3], "cached")
    assert seen == expected
    assert Counter(run.ending for run in runs if run.ending != "postponed") == {
        "handled": 9,
        "failed": 1,
    }
    assert (outcomes.handled, outcomes.dead_lettered) == (9, 1)
    for times in starts.values():
        assert times[-1] - began >= (5 - 1) / 4, "five of each tenant take their turns"
