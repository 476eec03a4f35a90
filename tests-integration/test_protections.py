"""What guards a service, on every backend: the circuit breaker and idempotent handling."""

import asyncio
from collections.abc import Callable

from dispytch import (
    CircuitBreaker,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Idempotent,
    RetryPolicy,
)

PATIENCE = 30.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_while_everything_fails_nothing_is_started_and_nothing_is_lost(
    broker_url: str, unique: str
) -> None:
    topic, group = f"orders.{unique}", HandlerGroup()
    broken, runs, handled = True, 0, list[int]()

    class Placed(EventBase):
        __topic__ = topic
        __event_type__ = "placed"
        __key__ = "{number}"

        number: int

    patient = RetryPolicy(attempts=1_000, delay=0.05, factor=1, jitter=False)

    @group.handler(topic=topic, retry=patient)
    async def handle(event: Event[Placed]) -> None:
        nonlocal runs
        runs += 1
        if broken:
            raise ConnectionError("the database is down")
        handled.append(event.body.number)

    breaker = CircuitBreaker(failures=20, pause=1.0)
    listener = EventListener(
        broker_url, group=f"shop.{unique}", concurrency=8, circuit_breaker=breaker
    )
    listener.add_handler_group(group)
    async with listener, EventEmitter(broker_url) as emitter:
        await emitter.emit_many([Placed(number=n) for n in range(200)])
        await until(lambda: runs >= 20)
        health = await listener.health()
        assert any("circuit" in problem for problem in health.problems)
        before = runs
        await asyncio.sleep(0.5)
        assert runs - before <= 8, "only what was running when it opened"
        broken = False
        await until(lambda: len(handled) == 200)
        assert (await listener.health()).healthy
    assert sorted(handled) == list(range(200))


async def test_an_event_that_is_emitted_twice_is_handled_once(broker_url: str, unique: str) -> None:
    topic, group, handled = (
        f"orders.{unique}",
        HandlerGroup(middlewares=[Idempotent()]),
        list[int](),
    )

    class Placed(EventBase):
        __topic__ = topic
        __event_type__ = "placed"
        __key__ = "{number}"

        number: int

    @group.handler(topic=topic)
    async def handle(event: Event[Placed]) -> None:
        handled.append(event.body.number)

    listener = EventListener(broker_url, group=f"shop.{unique}")
    listener.add_handler_group(group)
    events = [Placed(number=n) for n in range(100)]
    async with listener, EventEmitter(broker_url) as emitter:
        await emitter.emit_many(events)
        await emitter.emit_many(events)
        await until(lambda: listener.outcomes.handled + listener.outcomes.skipped == 200)
    assert sorted(handled) == list(range(100))
    assert listener.outcomes.skipped == 100
