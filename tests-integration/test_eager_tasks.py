"""With eager tasks, which run before whoever makes them has them, every backend works."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from dispytch import (
    DeadLetters,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    RetryPolicy,
)

EAGER: Any = vars(asyncio).get("eager_task_factory")
if EAGER is None:
    pytest.skip("eager tasks came with Python 3.12", allow_module_level=True)

PATIENCE = 60.0


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def test_events_flow_fail_are_replayed_and_drain(broker_url: str, unique: str) -> None:
    asyncio.get_running_loop().set_task_factory(EAGER)

    class Placed(EventBase):
        __topic__ = f"orders.{unique}"
        __event_type__ = "placed"
        __key__ = "{customer}"

        number: int
        customer: int

    class Priced(EventBase):
        __topic__ = f"prices.{unique}"
        __event_type__ = "priced"

        number: int

    handled, broken = Counter[int](), {3, 33}
    retry = RetryPolicy(attempts=2, delay=0.01)
    group = HandlerGroup()

    @group.handler(topic=Placed.__topic__, event="placed", retry=retry)
    async def ship(event: Event[Placed], emitter: EventEmitter) -> None:
        if event.body.number in broken:
            raise ValueError("no address")
        if event.body.number % 10 == 0:
            await emitter.emit(Priced(number=event.body.number))
        handled[event.body.number] += 1

    @group.handler(topic=Priced.__topic__, event="priced")
    async def price(event: Event[Priced]) -> int:
        return event.body.number * 2

    listener = EventListener(broker_url, group=f"shop.{unique}", concurrency=8)
    listener.add_handler_group(group)
    async with asyncio.timeout(PATIENCE), EventEmitter(broker_url) as emitter:
        async with listener:
            for number in range(20):
                await emitter.emit(Placed(number=number, customer=number % 5))
            await emitter.emit_many([Placed(number=n, customer=n % 5) for n in range(20, 200)])
            await until(lambda: len(handled) == 198 and listener.outcomes.dead_lettered == 2)
            broken.clear()
            await DeadLetters(broker_url, topic=Placed.__topic__, group=f"shop.{unique}").replay()
            await until(lambda: len(handled) == 200)
            assert await emitter.request(Priced(number=4), reply=int, timeout=PATIENCE) == 8
        assert handled == Counter(range(200))
