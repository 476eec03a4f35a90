"""Dependencies in a listener, on the in-memory backend."""

import asyncio
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Annotated, Any
from uuid import uuid4

import pytest

from dispytch import (
    CircuitBreaker,
    DeadLetters,
    Delivery,
    Dependency,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Header,
    provides,
)
from dispytch.exceptions import DependencyError
from dispytch.memory import MemoryBackend
from dispytch.messages import Message
from dispytch.middleware import Next


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"

    number: int


class Tenant(str): ...


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}"


def listening(url: str, group: HandlerGroup, **options: Any) -> EventListener:
    listener = EventListener(url, group="shop", **options)
    listener.add_handler_group(group)
    return listener


async def emit(url: str, count: int = 1) -> None:
    async with EventEmitter(url) as emitter:
        await emitter.emit_many(Placed(number=n) for n in range(count))


async def settled(listener: EventListener, count: int) -> None:
    async with asyncio.timeout(5):
        while listener.outcomes.handled + listener.outcomes.dead_lettered < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Pools:
    """What happened to the pools of a test, and to those who use them."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def make(self, emitter: EventEmitter) -> AsyncGenerator[str, None]:
        self.log.append(f"made with {type(emitter).__name__}")
        yield "pool"
        await asyncio.sleep(0.01)
        self.log.append("closed")


async def test_an_app_scoped_dependency_lives_from_the_start_to_the_last_handler(url: str) -> None:
    pools, group = Pools(), HandlerGroup(default_topic="orders")
    started = asyncio.Event()

    @group.handler()
    async def handle(pool: Annotated[str, Dependency(pools.make, scope="app")]) -> None:
        started.set()
        await asyncio.sleep(0.05)
        pools.log.append(f"handled with {pool}")

    async with listening(url, group):
        assert pools.log == ["made with EventEmitter"]
        await emit(url)
        await started.wait()
    assert pools.log == ["made with EventEmitter", "handled with pool", "closed"]


async def test_one_that_cannot_be_made_ends_the_start_before_the_group_is_joined(url: str) -> None:
    pools, group = Pools(), HandlerGroup(default_topic="orders")

    def broken(_: Annotated[str, Dependency(pools.make, scope="app")]) -> None:
        raise OSError("no route to host")

    @group.handler()
    async def handle(_: Annotated[None, Dependency(broken, scope="app")]) -> None: ...

    listener = listening(url, group)
    with pytest.raises(DependencyError, match=r"`.*broken`: what is app-scoped could not be made"):
        await listener.listen()
    assert pools.log == ["made with EventEmitter", "closed"]


async def test_a_start_that_is_given_up_tears_down_what_was_made(url: str) -> None:
    pools, group = Pools(), HandlerGroup(default_topic="orders")
    waiting = asyncio.Event()

    async def slow(_: Annotated[str, Dependency(pools.make, scope="app")]) -> None:
        waiting.set()
        await asyncio.Event().wait()

    @group.handler()
    async def handle(_: Annotated[None, Dependency(slow, scope="app")]) -> None: ...

    starting = asyncio.create_task(listening(url, group).__aenter__())
    await waiting.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert pools.log[-1] == "closed"


async def test_a_context_variable_of_the_app_reaches_every_handler(url: str) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    group, seen = HandlerGroup(default_topic="orders"), list[str]()

    async def configure() -> AsyncGenerator[None, None]:
        token = variable.set("app")
        yield
        variable.reset(token)

    @group.handler()
    async def handle(_: Annotated[None, Dependency(configure, scope="app")]) -> None:
        seen.append(variable.get())
        variable.set("event")

    listener = listening(url, group, concurrency=1)
    async with listener:
        await emit(url, 3)
        await settled(listener, 3)
    assert seen == ["app"] * 3


async def test_overrides_count_from_the_next_start_on(url: str) -> None:
    group = HandlerGroup(default_topic="orders")
    seen: list[str] = []

    def get_db() -> str:
        return "real"

    @group.handler()
    async def handle(db: Annotated[str, Dependency(get_db)]) -> None:
        seen.append(db)

    listener = listening(url, group)
    listener.overrides[get_db] = lambda: "fake"
    async with listener:
        await emit(url)
        await settled(listener, 1)
    del listener.overrides[get_db]
    async with listener:
        await emit(url)
        await settled(listener, 2)
    assert seen == ["fake", "real"]
    listener.overrides[Pools] = Pools
    with pytest.raises(DependencyError, match=r"no handler depends on `.*Pools`"):
        await listener.listen()


async def test_an_override_that_another_one_hides_is_fine(url: str) -> None:
    group = HandlerGroup(default_topic="orders")

    def get_pool() -> str:
        return "real"

    def get_db(pool: Annotated[str, Dependency(get_pool)]) -> str:
        return pool

    @group.handler()
    async def handle(db: Annotated[str, Dependency(get_db)]) -> None: ...

    listener = listening(url, group)
    listener.overrides.update({get_pool: lambda: "fake", get_db: lambda: "fake"})
    async with listener:
        assert (await listener.health()).problems == ()


async def test_a_header_that_is_refused_makes_a_dead_letter_at_once(url: str) -> None:
    group = HandlerGroup(default_topic="orders")
    seen: list[int] = []

    @group.handler(retries=5)
    async def handle(x_count: Annotated[int, Header()], delivery: Delivery) -> None:
        seen.append(x_count)
        assert delivery.headers[0] == ("x-count", b"7")

    listener = listening(url, group, circuit_breaker=CircuitBreaker(failures=1, pause=60))
    async with listener, MemoryBackend.from_url(url).producer() as producer:
        await producer.send(
            [
                Message("orders", b"{}", headers=[("x-count", value)])
                for value in (b"7", b"seven", b"7")
            ]
        )
        await producer.send([Message("orders", b"{}")])
        await settled(listener, 4)
        assert (listener.outcomes.retried, listener.outcomes.dead_lettered) == (0, 2)
    found = await DeadLetters(url, topic="orders", group="shop").read()
    assert [letter.reason for letter in found] == ["invalid", "invalid"]
    errors = "".join(letter.error for letter in found)
    assert "header 'x-count' is refused" in errors
    assert "header 'x-count' is missing" in errors
    assert seen == [7, 7]


async def test_middlewares_of_listener_and_group_provide_values(url: str) -> None:
    @provides(Tenant)
    async def tenants(event: Event[Any], call_next: Next, /) -> Any:
        event.provide(Tenant, Tenant(f"tenant of {event.type}"))
        return await call_next(event)

    @provides(int)
    async def lengths(event: Event[Any], call_next: Next, /) -> Any:
        event.provide(int, len(event.provided(Tenant)))
        return await call_next(event)

    seen: list[object] = []
    group = HandlerGroup(default_topic="orders", middlewares=[lengths])

    @group.handler()
    async def handle(tenant: Tenant, length: int) -> None:
        seen.extend([tenant, length])

    listener = listening(url, group, middlewares=[tenants])
    async with listener:
        await emit(url)
        await settled(listener, 1)
    assert seen == ["tenant of placed", 16]
    with pytest.raises(DependencyError, match=r"parameter `tenant`: nothing .*@provides\(Tenant\)"):
        await listening(url, group).listen()
