"""The middlewares that come with dispytch, together, on every backend."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable

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
from dispytch.middleware import ConcurrencyLimit, Filter, Log, RateLimit, map_exceptions

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
    assert starts[-1] - starts[0] >= (100 - 5) / 100 - 0.05
    endings = Counter(
        record.__dict__["ending"] for record in caplog.records if record.name == "dispytch.handlers"
    )
    assert endings == {"handled": 80, "skipped": 10, "rejected": 10, "retry_after": 10}
