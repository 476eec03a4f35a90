"""In whatever order middlewares stand, with duplicates and failures, a service never stands still.

Time is the probe's, and is moved on by as much as turns and retries need. So an event that waits
for a place, or a turn, which nobody uses is not handled in it.
"""

import asyncio
import itertools
import random
from collections import Counter
from typing import Any

import pytest

from dispytch import Batch, Event, EventBase, EventListener, HandlerGroup, RetryPolicy
from dispytch.exceptions import BatchFailed
from dispytch.middleware import (
    ConcurrencyLimit,
    Filter,
    Idempotent,
    Log,
    RateLimit,
    Run,
    Timing,
    map_exceptions,
)

KINDS = ("idempotent", "places", "tenants", "rate", "filter", "timing", "log", "mapped")
INTERVAL = 0.01
RETRY = 0.05
COUNT = 20
LONGEST = 4.8
"""Turns take 0.8 s, retries less than 2 s: the rest is for a machine that is slower than its
clock. A place that is kept for nobody costs 5 s each time."""
STEPS = 24


class Order(EventBase):
    __topic__ = "orders"
    __event_type__ = "order"

    number: int
    tenant: int


class Unready(Exception):
    pass


def ignore(run: Run) -> None: ...


def made(kind: str) -> Any:
    match kind:
        case "idempotent":
            return Idempotent()
        case "places":
            return ConcurrencyLimit(2)
        case "tenants":
            return ConcurrencyLimit(1, key=lambda event: event.body.tenant)
        case "rate":
            return RateLimit(1, per=INTERVAL, key=lambda event: event.body.tenant % 2, burst=2)
        case "filter":
            return Filter(lambda event: event.body.number % 7 != 3)
        case "timing":
            return Timing(ignore)
        case "log":
            return Log()
        case _:
            return map_exceptions({Unready: TimeoutError})


def orders() -> list[list[str]]:
    """All orders of those that hold events back or leave them out, the others anywhere in them."""
    chosen = random.Random(10)
    found: list[list[str]] = []
    for order in itertools.permutations(KINDS[:5]):
        kinds = list(order)
        for kind in KINDS[5:]:
            kinds.insert(chosen.randrange(len(kinds) + 1), kind)
        found.append(kinds)
    return found


class Shop:
    """Handles orders; every fifth fails at first."""

    def __init__(self, kinds: list[str], batch: Batch | None) -> None:
        self.done: Counter[int] = Counter()
        self.failed: set[int] = set()
        group = HandlerGroup("orders", "order", middlewares=[made(kind) for kind in kinds])
        retry = RetryPolicy(attempts=4, delay=RETRY, factor=1, jitter=False)
        if batch is None:

            @group.handler(retry=retry)
            async def sell(event: Event[Order]) -> None:
                await self._sell([event])

        else:

            @group.handler(retry=retry, batch=batch)
            async def sell_all(events: list[Event[Order]]) -> None:
                await self._sell(events)

        self.listener = EventListener("memory://?partitions=2", group="g", concurrency=8)
        self.listener.add_handler_group(group)

    async def _sell(self, events: list[Event[Any]]) -> None:
        await asyncio.sleep(0)
        failures: dict[int, Exception] = {}
        for index, event in enumerate(events):
            number = event.body.number
            if number % 5 == 0 and number not in self.failed:
                self.failed.add(number)
                failures[index] = Unready()
            else:
                self.done[number] += 1
        if len(failures) == 1 == len(events):
            raise failures[0]
        if failures:
            raise BatchFailed(failures)


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize(
    "batch",
    [None, Batch(4, wait=0.02), Batch(3, wait=0.02, by="key")],
    ids=["single", "by topic", "by key"],
)
async def test_no_order_of_middlewares_makes_a_service_stand_still(
    batch: Batch | None, part: int
) -> None:
    for number, kinds in enumerate(orders()[part::4]):
        key = "{tenant}" if number % 2 else None
        keyed = type("Keyed", (Order,), {"__key__": key})
        shop = Shop(kinds, batch)
        emitted = [keyed(number=number, tenant=number % 3) for number in range(COUNT)]
        async with shop.listener.test(clock="manual") as probe:
            await probe.emit_many([event for event in emitted for _ in range(2)])
            for _ in range(STEPS):
                if probe.outcomes.handled + probe.outcomes.skipped < 2 * COUNT:
                    await probe.advance(LONGEST / STEPS)
            wanted = {each for each in range(COUNT) if each % 7 != 3}
            assert shop.done == Counter(wanted), f"{kinds}, key {key}"
            assert probe.outcomes.skipped == 2 * COUNT - len(wanted)
