"""Batch handlers on every backend: each event has an outcome, and those of a key their order."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest
from pydantic import BaseModel

from dispytch import (
    Batch,
    BatchFailed,
    DeadLetters,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Reject,
    RetryPolicy,
)
from dispytch.batch import By

PATIENCE = 30.0
EVENTS, KEYS = 600, 12


class Order(BaseModel):
    number: int


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("by", ["topic", "key"])
async def test_what_is_emitted_is_handled_or_dead_lettered_and_in_order(
    broker_url: str, unique: str, by: By
) -> None:
    """Every tenth event is rejected, every seventh fails once, and one cannot be read."""
    topic, group, name = f"orders.{unique}", HandlerGroup(), f"shop.{unique}"
    handled: dict[str | None, list[int]] = defaultdict(list)
    sizes: list[int] = []

    class Placed(EventBase):
        __topic__ = topic
        __event_type__ = "placed"
        __key__ = "{key}"

        number: int | None
        key: str

    soon = RetryPolicy(attempts=2, delay=0.05, factor=1)

    @group.handler(topic=topic, event="placed", batch=Batch(40, wait=0.2, by=by), retry=soon)
    async def store(events: list[Event[Order]]) -> None:
        sizes.append(len(events))
        failures: dict[int, Exception] = {}
        for index, event in enumerate(events):
            number = event.body.number
            if number % 10 == 0:
                failures[index] = Reject("unwanted")
            elif number % 7 == 0 and event.attempt == 1:
                failures[index] = ConnectionError("at first")
            else:
                handled[event.key].append(number)
        if failures:
            raise BatchFailed(failures)

    listener = EventListener(broker_url, group=name)
    listener.add_handler_group(group)
    events = [Placed(number=n, key=f"key-{n % KEYS}") for n in range(EVENTS)]
    events.insert(EVENTS // 2, Placed(number=None, key="key-1"))
    async with listener, EventEmitter(broker_url) as emitter:
        await emitter.emit_many(events)
        done = listener.outcomes
        await until(lambda: done.handled + done.dead_lettered == EVENTS + 1)
        await asyncio.sleep(0.1)
        assert (await listener.health()).in_flight == 0
    assert (done.handled, done.dead_lettered) == (EVENTS - EVENTS // 10, EVENTS // 10 + 1)
    letters = await DeadLetters(broker_url, topic=topic, group=name).read(limit=EVENTS)
    reasons = [letter.reason for letter in letters]
    assert (reasons.count("rejected"), reasons.count("invalid")) == (EVENTS // 10, 1)
    seen = sorted(number for numbers in handled.values() for number in numbers)
    assert seen == [n for n in range(EVENTS) if n % 10]
    assert len(sizes) < EVENTS / 3, "they came in batches"
    for numbers in handled.values():
        first = [number for number in numbers if number % 7]
        assert first == sorted(first)


async def test_failed_events_of_a_pattern_come_back_through_the_broker(
    broker_url: str, unique: str
) -> None:
    group, name = HandlerGroup(), f"audit.{unique}"
    attempts: dict[tuple[str, int], list[int]] = defaultdict(list)
    sizes: list[int] = []

    class Line(EventBase):
        __topic__ = f"logs-{unique}.{{level}}"
        __event_type__ = "line"
        __key__ = "{level}"

        level: str
        number: int

    delayed = RetryPolicy(attempts=2, delay=0.5, factor=1, jitter=False, delayed=True)

    @group.handler(topic=f"logs-{unique}.#", batch=Batch(20, wait=0.3), retry=delayed)
    async def store(events: list[Event[Order]]) -> None:
        sizes.append(len(events))
        failures: dict[int, Exception] = {}
        for index, event in enumerate(events):
            attempts[event.topic, event.body.number].append(event.attempt)
            if event.body.number % 5 == 0 and event.attempt == 1:
                failures[index] = ConnectionError("at first")
        if failures:
            raise BatchFailed(failures)

    listener = EventListener(broker_url, group=name)
    listener.add_handler_group(group)
    async with listener, EventEmitter(broker_url) as emitter:
        for level in ("info", "error"):
            await emitter.emit_many([Line(level=level, number=n) for n in range(50)])
        await until(lambda: listener.outcomes.handled == 100)
    assert attempts == {
        (f"logs-{unique}.{level}", n): [1, 2] if n % 5 == 0 else [1]
        for level in ("info", "error")
        for n in range(50)
    }
    assert listener.outcomes.delayed == 20
    assert max(sizes) > 1
