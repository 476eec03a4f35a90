"""Dependencies whose values nobody takes: of a handler, its groups, the listener."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from dispytch import (
    Batch,
    Dependency,
    Event,
    EventBase,
    EventListener,
    HandlerGroup,
    Header,
    Reject,
)
from dispytch.exceptions import DependencyError, InvalidHandler


class Order(BaseModel):
    number: int


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"
    __key__ = "one for all"

    number: int = 1


LOG: list[str] = []


@pytest.fixture(autouse=True)
def _clean() -> None:
    LOG.clear()


def noting(name: str) -> Callable[[], None]:
    def note() -> None:
        LOG.append(name)

    return note


async def opened() -> AsyncIterator[str]:
    LOG.append("open")
    yield "value"
    LOG.append("closed")


def check(event: Event[Order]) -> None:
    LOG.append(f"checked {event.body.number}")
    if event.body.number < 0:
        raise Reject("negative")


def listening(group: HandlerGroup, **options: Any) -> EventListener:
    listener = EventListener(f"memory://{uuid4().hex}", group="shop", **options)
    listener.add_handler_group(group)
    return listener


async def test_they_run_first_from_the_outside_in_and_before_what_the_handler_asks_for() -> None:
    inner = HandlerGroup(dependencies=[Dependency(noting("inner"))])
    outer = HandlerGroup(
        default_topic="orders",
        dependencies=[Dependency(noting("outer 1")), Dependency(noting("outer 2"))],
    )
    outer.add_handler_group(inner)

    @inner.handler(dependencies=[Dependency(noting("own")), Dependency(opened)])
    async def handle(own: Annotated[None, Dependency(noting("asked for"))]) -> None:
        LOG.append("handler")

    listener = listening(outer, dependencies=[Dependency(noting("listener"))])
    async with listener.test() as probe:
        await probe.emit(Placed())
        await probe.settled()
    expected = [
        *("listener", "outer 1", "outer 2", "inner", "own", "open"),
        *("asked for", "handler", "closed"),
    ]
    assert expected == LOG


async def test_they_share_with_those_that_are_asked_for() -> None:
    group = HandlerGroup(default_topic="orders", dependencies=[Dependency(opened)])

    @group.handler(dependencies=[Dependency(opened)])
    async def handle(value: Annotated[str, Dependency(opened)]) -> None:
        LOG.append(value)

    async with listening(group).test() as probe:
        await probe.emit(Placed())
        await probe.settled()
    assert LOG == ["open", "value", "closed"]


async def test_one_that_refuses_keeps_the_handler_from_running() -> None:
    group = HandlerGroup(default_topic="orders", dependencies=[Dependency(check)])

    @group.handler()
    async def handle() -> None:
        LOG.append("handler")

    async with listening(group).test() as probe:
        await probe.emit(Placed(number=-1))
        await probe.emit(Placed(number=1))
        await probe.settled()
        assert len(probe.dead_lettered) == 1
    assert sorted(LOG) == ["checked -1", "checked 1", "handler"]


async def test_app_scope_threads_and_overrides() -> None:
    group = HandlerGroup(
        default_topic="orders",
        dependencies=[Dependency(opened, scope="app"), Dependency(noting("thread"), thread=True)],
    )
    real = noting("real")

    @group.handler(dependencies=[Dependency(real)])
    async def handle() -> None:
        LOG.append("handler")

    async with listening(group).test(overrides={real: noting("fake")}) as probe:
        assert LOG == ["open"]
        await probe.emit(Placed())
        await probe.emit(Placed())
        await probe.settled()
    assert sorted(LOG[1:-1]) == sorted(["thread", "fake", "handler"] * 2)
    assert LOG[-1] == "closed"


async def test_around_batches_they_run_once() -> None:
    group = HandlerGroup(default_topic="orders", dependencies=[Dependency(noting("group"))])

    @group.handler(batch=Batch(2, wait=60))
    async def handle(events: list[Event[Order]]) -> None:
        LOG.append(str(len(events)))

    async with listening(group).test() as probe:
        await probe.emit(Placed())
        await probe.emit(Placed())
        await probe.settled()
    assert LOG == ["group", "2"]


@pytest.mark.parametrize("wrong", [[noting("f")], [Header("x")], "text", 7, [None]])
def test_something_else_is_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(DependencyError, match=r"dependencies takes"):
        HandlerGroup(dependencies=wrong)
    with pytest.raises(DependencyError, match=r"dependencies takes"):
        EventListener("memory://x", group="shop", dependencies=wrong)
    with pytest.raises(InvalidHandler, match=r"dependencies takes"):
        HandlerGroup().handler(topic="orders", dependencies=wrong)(lambda: None)


async def test_one_that_cannot_work_is_refused_with_its_place() -> None:
    def wrong(x: int) -> None: ...

    group = HandlerGroup(default_topic="orders")
    group.handler(dependencies=[Dependency(opened), Dependency(wrong)])(lambda: None)
    with pytest.raises(
        DependencyError, match=r"→ dependencies\[1\] → dependency `.*wrong` → parameter `x`"
    ):
        await listening(group).listen()
