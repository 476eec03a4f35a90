"""What health says while the only broker is away, and that it says so no longer than that."""

import asyncio
from collections.abc import Callable

import pytest
from brokers.broker import Broker

from dispytch import EventEmitter, EventListener, HandlerGroup, Health
from dispytch.testing.conformance.events import EVENT_TYPE, Ledger, counted
from dispytch.testing.conformance.setting import noting
from dispytch.testing.transport.reader import eventually


async def test_health_is_red_for_as_long_as_the_broker_is_away(
    kafka: Broker, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic, ledger = f"health-{unique}", Ledger()
    group = HandlerGroup(default_topic=topic, default_event=EVENT_TYPE)
    group.handler()(noting(ledger))
    listener = EventListener(f"{kafka.url}?partitions=2&session_timeout=6", group=topic)
    listener.add_handler_group(group)
    async with listener, EventEmitter(kafka.url) as emitter:
        await emitter.emit_many(counted(topic, keys=4, each=1))
        green = await _until(listener, lambda one: bool(one) and len(one.lag) == 4, within=20)
        assert green.connected
        await asyncio.to_thread(kafka.kill)
        red = await _until(
            listener, lambda one: any("has not answered" in text for text in one.problems), 20
        )
        assert not red.connected
        assert red.lag == {}, "it is unknown, not zero"
        assert not any(text.rstrip().endswith(":") for text in red.problems)
        await asyncio.to_thread(kafka.start)
        await _until(listener, bool, within=20)
        await emitter.emit_many(counted(topic, keys=4, each=1, start=1))
        await eventually(lambda: len(set(ledger.handled)) == 8, "the rest", 30)
    told = [one.getMessage() for one in caplog.records if "has not answered" in one.getMessage()]
    assert any("over after" in line for line in told)


async def _until(listener: EventListener, holds: Callable[[Health], bool], within: float) -> Health:
    now = asyncio.get_running_loop().time
    deadline = now() + within
    while True:
        asked = now()
        health = await listener.health()
        assert now() - asked < 5, "it takes five seconds at most"
        if holds(health):
            return health
        assert now() < deadline, f"still {health}"
        await asyncio.sleep(0.1)
