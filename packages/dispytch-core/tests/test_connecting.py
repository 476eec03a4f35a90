"""Emitters and listeners that start while their broker is away."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest

from dispytch import Dependency, Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.exceptions import BrokerUnreachable, ConfigurationError, TopologyError
from dispytch.memory import MemoryBackend
from dispytch.memory.consumer import MemoryConsumer
from dispytch.transport import OnRevoke, Producer, Subscription, Topology


class Away(MemoryBackend):
    """A broker that is away until it is told to come; it refuses, or does not answer."""

    def __init__(self, name: str, *, hangs: bool = False) -> None:
        super().__init__(name, send_timeout=0.2)
        self.back = asyncio.Event()
        self.hangs = hangs
        self.refuses_topics = False
        self.tries = 0

    async def prepare(self, topology: Topology) -> None:
        await self._reach()
        if self.refuses_topics:
            raise TopologyError("no such topic may be made", topic=topology.topics[0])
        await super().prepare(topology)

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[Producer, None]:
        await self._reach()
        async with super().producer() as producer:
            yield producer

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncGenerator[MemoryConsumer, None]:
        await self._reach()
        async with super().consumer(subscription, on_revoke) as consumer:
            yield consumer

    async def _reach(self) -> None:
        self.tries += 1
        if self.hangs:
            await self.back.wait()
        if not self.back.is_set():
            raise BrokerUnreachable("nobody answers at broker:1234")


class Ordered(EventBase):
    __topic__ = "orders"
    __event_type__ = "ordered"

    number: int


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@pytest.fixture(params=[False, True], ids=["refuses", "hangs"])
def away(request: pytest.FixtureRequest) -> Away:
    return Away(request.node.name, hangs=request.param)


class Service:
    def __init__(self, backend: Away) -> None:
        self.handled: list[int] = []
        self.resources: list[str] = []
        group = HandlerGroup("orders", "ordered")

        async def resource() -> AsyncGenerator[str, None]:
            self.resources.append("made")
            yield "it"
            self.resources.append("torn down")

        @group.handler()
        async def handle(
            event: Event[Ordered], it: Annotated[str, Dependency(resource, scope="app")]
        ) -> None:
            self.handled.append(event.body.number)

        self.listener = EventListener(backend, group="shop", connect="wait")
        self.listener.add_handler_group(group)


async def test_an_emit_waits_and_fails_until_the_broker_is_there(
    away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dispytch")
    async with EventEmitter(away, connect="wait", source="shop") as emitter:
        began = time.monotonic()
        with pytest.raises(BrokerUnreachable, match=r"not sent within 0.2 s"):
            await emitter.emit(Ordered(number=1))
        assert time.monotonic() - began < 2
        waiting = asyncio.create_task(emitter.emit(Ordered(number=2)))
        away.back.set()
        await asyncio.gather(waiting, return_exceptions=True)
        await until(lambda: "is connected" in caplog.text or away.hangs)
        await emitter.emit(Ordered(number=3))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (0 if away.hangs else 2), lines


async def test_a_listener_is_red_until_it_connects(
    away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(away)
    async with service.listener:
        health = await service.listener.health()
        assert not health
        assert not health.connected
        assert any("could not be reached so far" in problem for problem in health.problems)
        assert service.resources == ["made"]
        await asyncio.sleep(1)
        assert away.tries <= 8, "pauses grow"
        away.back.set()
        async with EventEmitter(away) as emitter:
            await emitter.emit(Ordered(number=1))
        await until(lambda: service.handled == [1])
        assert await service.listener.health()
    assert service.resources == ["made", "torn down"]
    told = [one for one in caplog.records if "could not be reached" in one.getMessage()]
    assert len(told) == 2, "once when it begins and once when it is over"


async def test_a_stop_while_it_waits_ends_at_once(away: Away) -> None:
    service = Service(away)
    listening = asyncio.create_task(service.listener.listen())
    await until(lambda: service.resources)
    began = time.monotonic()
    await service.listener.stop()
    await listening
    assert time.monotonic() - began < 1
    assert service.resources == ["made", "torn down"]


async def test_what_no_waiting_helps_against_ends_the_listener() -> None:
    away = Away("refused")
    service = Service(away)
    away.refuses_topics = True
    with pytest.raises(TopologyError, match="may be made"):  # noqa: PT012
        async with service.listener:
            away.back.set()
            await service.listener.stopped()
    assert service.resources == ["made", "torn down"]


async def test_by_default_a_start_fails(away: Away) -> None:
    if away.hangs:
        pytest.skip("it is the backend that gives up after its connect timeout")
    with pytest.raises(BrokerUnreachable):
        async with EventEmitter(away):
            pass


@pytest.mark.parametrize("connect", ["later", "", None, True])
def test_there_are_two_ways(connect: Any) -> None:
    with pytest.raises(ConfigurationError, match="connect"):
        EventEmitter("memory://", connect=connect)
    with pytest.raises(ConfigurationError, match="connect"):
        EventListener("memory://", group="g", connect=connect)


async def test_in_memory_there_is_nothing_to_wait_for() -> None:
    async with EventEmitter("memory://at-once", connect="wait") as emitter:
        await emitter.emit(Ordered(number=1))
