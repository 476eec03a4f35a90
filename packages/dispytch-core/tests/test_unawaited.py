"""What a handler calls and never awaits is its failure, and said so."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Annotated, Any
from unittest.mock import AsyncMock, Mock
from uuid import uuid4

import pytest

from dispytch import (
    Batch,
    DeadLetters,
    Dependency,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    RetryPolicy,
)
from dispytch.unawaited import found


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"


class Shipped(EventBase):
    __topic__ = "shipments"
    __event_type__ = "shipped"


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}"


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not met():  # noqa: ASYNC110 - outcomes have no event for that
            await asyncio.sleep(0.005)


def forgotten_here(emitter: EventEmitter) -> None:
    emitter.emit(Shipped())  # type: ignore[unused-coroutine]


def forgotten_in_generator(emitter: EventEmitter) -> Any:
    yield
    emitter.emit(Shipped())  # type: ignore[unused-coroutine]


async def emits(emitter: EventEmitter) -> None:
    emitter.emit(Shipped())  # type: ignore[unused-coroutine]


def emits_in_a_thread(emitter: EventEmitter) -> None:
    emitter.emit(Shipped())  # type: ignore[unused-coroutine]


async def emits_many(emitter: EventEmitter) -> None:
    emitter.emit_many([Shipped()])  # type: ignore[unused-coroutine]


async def requests(emitter: EventEmitter) -> None:
    emitter.request(Shipped(), reply=int)  # type: ignore[unused-coroutine]


async def keeps_it_until_its_end(emitter: EventEmitter) -> None:
    kept = emitter.emit(Shipped())
    assert kept is not None


async def by_dependency(given: Annotated[None, Dependency(forgotten_here)]) -> None: ...


async def by_teardown(given: Annotated[None, Dependency(forgotten_in_generator)]) -> None: ...


FORGETFUL = [
    emits,
    emits_in_a_thread,
    emits_many,
    requests,
    keeps_it_until_its_end,
    by_dependency,
    by_teardown,
]


@pytest.mark.parametrize("handler", FORGETFUL)
async def test_it_fails_and_is_not_retried(url: str, handler: Callable[..., Any]) -> None:
    group = HandlerGroup(default_topic="orders")
    group.handler(event="placed", retry=RetryPolicy(attempts=3, delay=0))(handler)
    listener = EventListener(url, group="shop")
    listener.add_handler_group(group)
    async with listener, EventEmitter(url) as emitter:
        await emitter.emit(Placed())
        await until(lambda: listener.outcomes.dead_lettered == 1)
    [letter] = await DeadLetters(url, topic="orders", group="shop").read()
    assert (letter.reason, letter.attempts) == ("failed", 1)
    assert "was called and never awaited" in letter.error
    assert "EventEmitter." in letter.error
    assert not found


async def test_a_batch_fails(url: str) -> None:
    group = HandlerGroup(default_topic="orders")

    @group.handler(event="placed", batch=Batch(10, wait=0.01))
    async def handle(events: list[Event], emitter: EventEmitter) -> None:
        emitter.emit(Shipped())  # type: ignore[unused-coroutine]

    listener = EventListener(url, group="shop")
    listener.add_handler_group(group)
    async with listener, EventEmitter(url) as emitter:
        await emitter.emit_many([Placed(), Placed()])
        await until(lambda: listener.outcomes.dead_lettered == 2)
    assert not found


async def test_one_that_fails_anyway_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    group = HandlerGroup(default_topic="orders")

    @group.handler(event="placed")
    async def handle(emitter: EventEmitter) -> None:
        emitter.emit(Shipped())  # type: ignore[unused-coroutine]
        raise ValueError("no")

    listener = EventListener(url, group="shop")
    listener.add_handler_group(group)
    async with listener, EventEmitter(url) as emitter:
        await emitter.emit(Placed())
        await until(lambda: listener.outcomes.dead_lettered == 1)
    [letter] = await DeadLetters(url, topic="orders", group="shop").read()
    assert letter.error == "builtins.ValueError: no"
    assert "handle called EventEmitter.emit and never awaited it" in caplog.text


@pytest.mark.parametrize("way", ["await", "task", "gather", "group", "wait_for", "cancelled"])
async def test_what_is_awaited_in_any_way_is_no_failure(
    url: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    group = HandlerGroup(default_topic="orders")
    later: list[asyncio.Task[None]] = []

    @group.handler(event="placed")
    async def handle(emitter: EventEmitter) -> None:
        match way:
            case "await":
                await emitter.emit(Shipped())
            case "task":
                later.append(asyncio.create_task(emitter.emit(Shipped())))
            case "gather":
                await asyncio.gather(emitter.emit(Shipped()), emitter.emit_many([]))
            case "group":
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(emitter.emit(Shipped()))
            case "wait_for":
                await asyncio.wait_for(emitter.emit(Shipped()), 5)
            case _:
                task = asyncio.create_task(emitter.emit(Shipped()))
                task.cancel()
                await asyncio.wait([task])

    listener = EventListener(url, group="shop")
    listener.add_handler_group(group)
    async with listener, EventEmitter(url) as emitter:
        await emitter.emit(Placed())
        await until(lambda: listener.outcomes.handled == 1)
        await asyncio.gather(*later)
    assert "never awaited" not in caplog.text


async def test_a_task_that_outlives_its_event_harms_no_other(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    group = HandlerGroup(default_topic="orders")
    go, tasks = asyncio.Event(), list[asyncio.Task[None]]()

    async def linger(emitter: EventEmitter) -> None:
        await go.wait()
        emitter.emit(Shipped())  # type: ignore[unused-coroutine]

    @group.handler(event="placed")
    async def handle(emitter: EventEmitter) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(linger(emitter)))
            return
        go.set()
        await tasks[0]

    listener = EventListener(url, group="shop", concurrency=1)
    listener.add_handler_group(group)
    async with listener, EventEmitter(url) as emitter:
        await emitter.emit_many([Placed(), Placed()])
        await until(lambda: listener.outcomes.handled == 2)
    assert (
        "a task that a handler has made called EventEmitter.emit and never awaited it"
        in caplog.text
    )
    assert not found


def test_mocks_take_the_calls_for_async_ones() -> None:
    assert isinstance(Mock(spec=EventEmitter).emit, AsyncMock)
    assert inspect.signature(EventEmitter.emit).parameters.keys() >= {"event", "delay", "at"}
