"""What is app-scoped: made once before all runs, torn down once after them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import pytest

from dispytch.dependencies import Dependency, Header, Wiring, app_scope, bind
from dispytch.events import Event
from dispytch.exceptions import DependencyError
from dispytch.messages import Delivery

Resolve = Callable[..., Awaitable[Any]]


class Emitter: ...


class Pool:
    def __init__(self) -> None:
        self.open = True


class Broken(Exception): ...


async def test_made_once_for_all_handlers_and_runs(event: Event[Any]) -> None:
    made: list[Pool] = []

    async def make_pool() -> Pool:
        made.append(Pool())
        return made[-1]

    def session(pool: Annotated[Pool, Dependency(make_pool, scope="app")]) -> Pool:
        return pool

    async def first(pool: Pool = Dependency(make_pool, scope="app")) -> Pool:
        return pool

    async def second(pool: Annotated[Pool, Dependency(session)]) -> Pool:
        return pool

    wiring = Wiring()
    plans = [wiring.plan(handler) for handler in (first, second)]
    async with app_scope(wiring.app_steps, {}) as of_app:
        runs = [bind(plan, {}, None, of_app) for plan in plans for _ in range(2)]
        pools = [await run(event) for run in runs]
    assert len(made) == 1
    assert pools == made * 4


async def test_torn_down_in_reverse_after_the_last_run(event: Event[Any]) -> None:
    log: list[str] = []

    def first(emitter: Emitter, n: int = 1) -> Generator[str, None, None]:
        log.append(f"+first {type(emitter).__name__}")
        yield "first"
        log.append("-first")

    @asynccontextmanager
    async def second(
        one: Annotated[str, Dependency(first, scope="app")],
    ) -> AsyncGenerator[str, None]:
        log.append("+second")
        yield one + " second"
        await asyncio.sleep(0)
        log.append("-second")

    def third(
        two: Annotated[str, Dependency(second, scope="app")],
    ) -> Generator[str, None, None]:
        log.append("+third")
        yield two + " third"
        log.append("-third")

    async def handler(
        three: Annotated[str, Dependency(third, scope="app", thread=True)],
    ) -> None:
        log.append(three)

    wiring = Wiring({Emitter})
    plan = wiring.plan(handler)
    values = {Emitter: Emitter()}
    async with app_scope(wiring.app_steps, values) as of_app:
        run = bind(plan, {}, None, of_app)
        await run(event)
        await run(event)
        log.append("end")
    assert log == [
        *("+first Emitter", "+second", "+third"),
        *("first second third", "first second third", "end"),
        *("-third", "-second", "-first"),
    ]


async def test_an_app_scoped_generator_sees_no_exception(resolve: Resolve) -> None:
    pool = Pool()
    seen: list[str] = []

    def make_pool() -> Generator[Pool, None, None]:
        yield pool
        pool.open = False

    def session(
        pool: Annotated[Pool, Dependency(make_pool, scope="app")],
    ) -> Generator[Pool, None, None]:
        try:
            yield pool
        except Broken:
            seen.append("rolled back" if pool.open else "too late")
            raise

    async def handler(_: Annotated[Pool, Dependency(session)]) -> None:
        raise Broken

    with pytest.raises(Broken):
        await resolve(handler)
    assert (seen, pool.open) == (["rolled back"], False)


async def test_one_that_fails_is_a_start_error_and_the_others_are_torn_down() -> None:
    log: list[str] = []

    def first() -> Generator[None, None, None]:
        yield
        log.append("closed")

    async def second(_: Annotated[None, Dependency(first, scope="app")]) -> None:
        raise Broken("no route to host")

    async def handler(_: Annotated[None, Dependency(second, scope="app")]) -> None: ...

    wiring = Wiring()
    wiring.plan(handler)
    with pytest.raises(
        DependencyError,
        match=r"handler `.*handler` → parameter `_` → dependency `.*second`: what is app-scoped "
        r"could not be made: Broken: no route to host",
    ) as raised:
        async with app_scope(wiring.app_steps, {}):
            log.append("never")
    assert isinstance(raised.value.__cause__, Broken)
    assert log == ["closed"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_failing_teardown_hides_nothing_and_stops_no_other(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []

    def first() -> Generator[None, None, None]:
        yield
        log.append("first")
        raise Broken("first")

    def second(_: Annotated[None, Dependency(first, scope="app")]) -> Generator[None, None, None]:
        yield
        log.append("second")
        raise Broken("second")

    async def handler(_: Annotated[None, Dependency(second, scope="app")]) -> None: ...

    wiring = Wiring()
    wiring.plan(handler)

    async def run() -> None:
        async with app_scope(wiring.app_steps, {}):
            if fails:
                raise Broken("the run")

    with pytest.raises(Broken) as raised:
        await run()
    assert log == ["second", "first"]
    assert str(raised.value) == ("the run" if fails else "second")
    assert [name in caplog.text for name in ("second` failed", "first` failed")] == [fails, True]


async def test_context_variables_reach_the_handlers(resolve: Resolve) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def configure() -> AsyncGenerator[None, None]:
        token = variable.set("app")
        yield
        variable.reset(token)

    async def handler(_: Annotated[None, Dependency(configure, scope="app")]) -> str:
        return variable.get()

    assert await resolve(handler) == "app"
    assert variable.get() == "unset"


async def test_an_event_scoped_one_of_the_same_function_is_another(resolve: Resolve) -> None:
    async def handler(
        a: Annotated[Pool, Dependency(Pool, scope="app")], b: Annotated[Pool, Dependency(Pool)]
    ) -> bool:
        return a is b

    assert await resolve(handler) is False


def of_event(event: Event[Any]) -> str:
    return event.id


def of_delivery(delivery: Delivery) -> int:
    return delivery.position


def of_header(x_tenant: Annotated[str, Header()]) -> str:
    return x_tenant


def settings() -> str:
    return "settings"


def of_settings(settings: Annotated[str, Dependency(settings)]) -> str:
    return settings


def of_nothing(port: int) -> int:
    return port


def deep(inner: Annotated[str, Dependency(of_event, scope="app")]) -> str:
    return inner


@pytest.mark.parametrize(
    ("func", "text"),
    [
        (of_event, "`of_event` → parameter `event` belongs to one event, and `of_event` is app-"),
        (of_delivery, "→ parameter `delivery` belongs to one event, and `of_delivery` is app-"),
        (of_header, "→ parameter `x_tenant` belongs to one event, and `of_header` is app-scoped"),
        (
            of_settings,
            "dependency `of_settings` → parameter `settings` → dependency `settings` belongs to "
            "one event, and `of_settings` is app-scoped: made before there is an event, and shared "
            "by all; let both have the same scope",
        ),
        (deep, "`deep` → parameter `inner` → dependency `of_event` → parameter `event` belongs to"),
        (
            of_nothing,
            "→ parameter `port`: nothing provides it to an app-scoped dependency; annotate it as "
            "Annotated[..., Dependency(..., scope='app')] or with one of Emitter; or",
        ),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_belongs_to_an_event_is_refused(func: Callable[..., Any], text: str) -> None:
    async def handler(x: Annotated[Any, Dependency(func, scope="app")]) -> None: ...

    with pytest.raises(DependencyError) as raised:
        Wiring({Emitter}).plan(handler)
    assert "handler `" in str(raised.value)
    assert text in str(raised.value)


def test_a_cycle_of_app_scoped_ones_is_refused() -> None:
    def itself(x: "Itself") -> None: ...

    Itself = Annotated[Any, Dependency(itself, scope="app")]  # noqa: N806

    async def handler(x: Itself) -> None: ...

    with pytest.raises(DependencyError, match="a cycle"):
        Wiring().plan(handler)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"scope": "request"}, "'event' or 'app'"), ({"scope": "app", "use_cache": False}, "once")],
)
def test_options_that_make_no_sense_are_refused(options: Any, text: str) -> None:
    with pytest.raises(DependencyError, match=text):
        Dependency(Pool, **options)
