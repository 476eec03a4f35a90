"""What generators see of a run, and what the run raises."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Annotated, Any

import pytest

from dispytch.dependencies import Dependency, bind, compile_handler
from dispytch.events import Event
from dispytch.exceptions import DependencyError

Resolve = Callable[..., Awaitable[Any]]
Log = list[Any]


class Broken(Exception): ...


class Replaced(Exception): ...


def sync_form(body: Callable[[], Generator[Any, None, None]]) -> Any:
    return Dependency(body)


def thread_form(body: Callable[[], Generator[Any, None, None]]) -> Any:
    return Dependency(body, thread=True)


def manager_form(body: Callable[[], Generator[Any, None, None]]) -> Any:
    return Dependency(contextmanager(body))


def async_of(
    body: Callable[[], Generator[Any, None, None]],
) -> Callable[[], AsyncGenerator[Any, None]]:
    """The same generator, async, with a real wait around every step."""

    async def generator() -> AsyncGenerator[Any, None]:
        inner = body()
        await asyncio.sleep(0)
        try:
            for value in inner:
                try:
                    yield value
                except BaseException as error:
                    await asyncio.sleep(0)
                    try:
                        yield inner.throw(error)
                    except StopIteration:
                        return
                await asyncio.sleep(0)
        finally:
            inner.close()

    return generator


def async_form(body: Callable[[], Generator[Any, None, None]]) -> Any:
    return Dependency(async_of(body))


def async_manager_form(body: Callable[[], Generator[Any, None, None]]) -> Any:
    return Dependency(asynccontextmanager(async_of(body)))


Form = Callable[[Callable[[], Generator[Any, None, None]]], Any]
FORMS: list[Form] = [sync_form, thread_form, manager_form, async_form, async_manager_form]


@pytest.fixture(params=FORMS, ids=lambda form: form.__name__)
def form(request: pytest.FixtureRequest) -> Form:
    chosen: Form = request.param
    return chosen


async def test_the_rest_runs_after_the_handler_and_before_the_run_is_done(
    form: Form, resolve: Resolve
) -> None:
    log: Log = []

    def session() -> Generator[str, None, None]:
        log.append("open")
        yield "session"
        log.append("close")

    async def handler(value: Annotated[str, form(session)]) -> str:
        log.append(value)
        return "result"

    assert await resolve(handler) == "result"
    assert log == ["open", "session", "close"]


async def test_in_reverse_order_and_once_when_shared(resolve: Resolve) -> None:
    log: Log = []

    def logged(name: str) -> Callable[[], Generator[str, None, None]]:
        def generator() -> Generator[str, None, None]:
            log.append(f"+{name}")
            yield name
            log.append(f"-{name}")

        return generator

    a, b, c = logged("a"), logged("b"), logged("c")

    def between(_: Annotated[str, sync_form(b)], __: Annotated[str, sync_form(a)]) -> None:
        log.append("between")

    async def handler(
        one: Annotated[str, sync_form(a)],
        two: Annotated[None, Dependency(between)],
        three: Annotated[str, thread_form(c)],
        four: Annotated[str, sync_form(b)],
    ) -> None:
        log.append("handler")

    await resolve(handler)
    assert log == ["+a", "+b", "between", "+c", "handler", "-c", "-b", "-a"]


async def test_it_sees_the_handlers_exception_and_lets_it_pass(
    form: Form, resolve: Resolve
) -> None:
    seen: Log = []
    error = Broken("handler")

    def session() -> Generator[None, None, None]:
        try:
            yield
        except Broken as caught:
            seen.append(caught)
            raise
        finally:
            seen.append("finally")

    async def handler(_: Annotated[None, form(session)]) -> None:
        raise error

    with pytest.raises(Broken) as raised:
        await resolve(handler)
    assert raised.value is error
    assert seen == [error, "finally"]


async def test_a_failure_that_it_swallows_is_raised_all_the_same(
    form: Form, resolve: Resolve
) -> None:
    seen: Log = []
    error = Broken("handler")

    def outer() -> Generator[None, None, None]:
        try:
            yield
        except Broken as caught:
            seen.append(caught)

    def inner(_: Annotated[None, form(outer)]) -> Generator[None, None, None]:
        with suppress(Broken):
            yield

    async def handler(_: Annotated[None, Dependency(inner)]) -> None:
        raise error

    with pytest.raises(Broken) as raised:
        await resolve(handler)
    assert raised.value is error
    assert seen == [error]


async def test_it_may_raise_another_in_its_place(form: Form, resolve: Resolve) -> None:
    seen: Log = []

    def outer() -> Generator[None, None, None]:
        try:
            yield
        except Exception as caught:
            seen.append(type(caught))
            raise

    def inner() -> Generator[None, None, None]:
        try:
            yield
        except Broken as caught:
            raise Replaced from caught

    async def handler(_: Annotated[None, form(outer)], __: Annotated[None, form(inner)]) -> None:
        raise Broken

    with pytest.raises(Replaced) as raised:
        await resolve(handler)
    assert isinstance(raised.value.__cause__, Broken)
    assert seen == [Replaced]


async def test_a_failing_teardown_after_success_is_raised_and_the_others_run(
    form: Form, resolve: Resolve
) -> None:
    seen: Log = []

    def outer() -> Generator[None, None, None]:
        try:
            yield
        finally:
            seen.append("outer")

    def inner() -> Generator[None, None, None]:
        yield
        raise Broken

    async def handler(_: Annotated[None, form(outer)], __: Annotated[None, form(inner)]) -> None:
        seen.append("handler")

    with pytest.raises(Broken):
        await resolve(handler)
    assert seen == ["handler", "outer"]


async def test_a_failing_teardown_after_a_failure_has_it_as_context(
    form: Form, resolve: Resolve
) -> None:
    error = Broken()

    def session() -> Generator[None, None, None]:
        try:
            yield
        finally:
            raise Replaced

    async def handler(_: Annotated[None, form(session)]) -> None:
        raise error

    with pytest.raises(Replaced) as raised:
        await resolve(handler)
    assert raised.value.__context__ is error


async def test_a_failing_dependency_tears_down_those_before_it(
    form: Form, resolve: Resolve
) -> None:
    seen: Log = []

    def first() -> Generator[None, None, None]:
        try:
            yield
        except Broken as caught:
            seen.append(caught)
            raise

    def second() -> Generator[None, None, None]:
        seen.append("second")
        raise Broken
        yield

    async def handler(_: Annotated[None, form(first)], __: Annotated[None, form(second)]) -> None:
        seen.append("handler")

    with pytest.raises(Broken) as raised:
        await resolve(handler)
    assert seen == ["second", raised.value]


async def test_a_second_yield_is_an_error_and_the_teardown_still_runs(
    form: Form, resolve: Resolve
) -> None:
    seen: Log = []

    def session() -> Generator[int, None, None]:
        try:
            yield from range(3)
        finally:
            seen.append("closed")

    async def handler(_: Annotated[int, form(session)]) -> None: ...

    with pytest.raises(DependencyError, match="yielded a second time"):
        await resolve(handler)
    assert seen == ["closed"]


async def test_a_second_yield_on_failure_does_not_hide_it(form: Form, resolve: Resolve) -> None:
    def session() -> Generator[int, None, None]:
        try:
            yield 1
        except Broken:
            yield 2

    async def handler(_: Annotated[int, form(session)]) -> None:
        raise Broken

    with pytest.raises(DependencyError, match="yielded a second time") as raised:
        await resolve(handler)
    assert isinstance(raised.value.__context__, Broken)


async def test_no_yield_is_an_error(form: Form, resolve: Resolve) -> None:
    def session(ready: bool = False) -> Generator[int, None, None]:
        if ready:
            yield 1

    async def handler(_: Annotated[int, form(session)]) -> None: ...

    with pytest.raises(DependencyError, match="ended without a yield"):
        await resolve(handler)


@pytest.mark.parametrize(
    "kind", [StopIteration, StopAsyncIteration, GeneratorExit, KeyboardInterrupt]
)
async def test_odd_exceptions_pass(
    kind: type[BaseException], event: Event[Any], resolve: Resolve
) -> None:
    """Those that have a meaning of their own for generators."""
    seen: Log = []

    def logged(dependency: Form) -> Any:
        def session() -> Generator[None, None, None]:
            try:
                yield
            except BaseException as caught:
                seen.append(type(caught))
                raise

        return dependency(session)

    async def handler(
        _: Annotated[None, logged(sync_form)], __: Annotated[None, logged(async_manager_form)]
    ) -> None:
        raise kind

    expected = RuntimeError if kind is StopIteration else kind
    # Not within a task, which would let some of them stop the event loop.
    running = bind(compile_handler(handler), {})(event).__await__()
    with pytest.raises(expected):
        list(running)
    assert seen == [expected, expected]


@pytest.mark.parametrize("swallows", [False, True])
async def test_cancellation_in_the_handler_reaches_the_teardown_and_goes_on(
    form: Form, swallows: bool, resolve: Resolve
) -> None:
    seen: Log = []
    waiting = asyncio.Event()

    def session() -> Generator[None, None, None]:
        try:
            yield
        except asyncio.CancelledError:
            seen.append("cancelled")
            if not swallows:
                raise
        finally:
            seen.append("closed")

    async def handler(_: Annotated[None, form(session)]) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(resolve(handler))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled", "closed"]


async def test_closing_a_run_closes_its_generators(event: Event[Any]) -> None:
    seen: Log = []

    def session() -> Generator[None, None, None]:
        try:
            yield
        finally:
            seen.append("closed")

    async def handler(_: Annotated[None, sync_form(session)]) -> None:
        await asyncio.Event().wait()

    run: Any = bind(compile_handler(handler), {})(event)
    run.send(None)
    run.close()
    assert seen == ["closed"]


async def test_context_variables_reach_the_handler_and_the_teardown(resolve: Resolve) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: Log = []

    def sync_one() -> None:
        variable.set("sync")

    async def async_one(_: Annotated[None, Dependency(sync_one)]) -> None:
        seen.append(variable.get())
        variable.set("async")

    async def session(_: Annotated[None, Dependency(async_one)]) -> AsyncGenerator[None, None]:
        seen.append(variable.get())
        token = variable.set("session")
        yield
        seen.append(variable.get())
        variable.reset(token)

    async def handler(_: Annotated[None, Dependency(session)]) -> str:
        return variable.get()

    def in_thread(_: Annotated[None, Dependency(session)]) -> str:
        return variable.get()

    assert await resolve(handler) == "session"
    assert seen == ["sync", "async", "session"]
    assert await resolve(in_thread) == "session"


async def test_a_generator_in_threads_has_one_context(resolve: Resolve) -> None:
    variable: ContextVar[int] = ContextVar("variable")

    def session() -> Generator[None, None, None]:
        token = variable.set(1)
        yield
        variable.reset(token)

    async def handler(_: Annotated[None, thread_form(session)]) -> None: ...

    await resolve(handler)


async def test_more_generators_than_python_nests_blocks(resolve: Resolve) -> None:
    torn: Log = []

    def numbered(n: int) -> Any:
        def generator() -> Generator[int, None, None]:
            yield n
            torn.append(n)

        return Dependency(generator)

    names = {f"p{n}": Annotated[int, numbered(n)] for n in range(40)}
    source = f"async def many({', '.join(f'{name}: T[{name!r}]' for name in names)}): pass"
    made: dict[str, Any] = {"T": names}
    exec(source, made)
    await resolve(made["many"])
    assert torn == list(reversed(range(40)))
