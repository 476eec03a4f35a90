"""Every form of dependency and handler, and what each receives."""

import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial, wraps
from typing import Annotated, Any, Optional, Protocol

import pytest
from pydantic import BaseModel

from dispytch.dependencies import Dependency
from dispytch.events import Event

Resolve = Callable[..., Awaitable[Any]]


class Emitter:
    """Stands for a type that the framework provides."""


class SubEmitter(Emitter): ...


def base() -> int:
    return 40


Base = Annotated[int, Dependency(base)]


def function(a: Base) -> int:
    return a + 2


async def coroutine(a: Base) -> int:
    return a + 2


def generator(a: Base) -> Iterator[int]:
    yield a + 2


async def async_generator(a: Base) -> AsyncIterator[int]:
    yield a + 2


@contextmanager
def manager(a: Base) -> Generator[int, None, None]:
    yield a + 2


@asynccontextmanager
async def async_manager(a: Base) -> AsyncGenerator[int, None]:
    yield a + 2


def two(a: Base, b: int) -> int:
    return a + b


class Sum:
    def __init__(self, b: int) -> None:
        self.b = b

    def __call__(self, a: Base) -> int:
        return a + self.b

    def method(self, a: Base) -> int:
        return a + self.b

    @contextmanager
    def managed(self, a: Base) -> Generator[int, None, None]:
        yield a + self.b

    @classmethod
    def of_class(cls, a: Base) -> int:
        return a + 2

    @staticmethod
    def static(a: Base) -> int:
        return a + 2


class AsyncSum:
    async def __call__(self, a: Base) -> int:
        return a + 2


class GeneratingSum:
    async def __call__(self, a: Base) -> AsyncIterator[int]:
        yield a + 2


def wrapped(func: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


def positional_only(a: Base, /, b: int = 2) -> int:
    return a + b


def after_a_default(b: int = 1, a: int = Dependency(base), /, c: int = 1) -> int:
    return a + b + c


def keyword_only(*, b: int = 2, a: Base) -> int:
    return a + b


def variadic(a: Base, *args: int, b: Annotated[int, Dependency(lambda: 2)], **kwargs: int) -> int:
    return a + b + len(args) + len(kwargs)


FORMS = [
    function,
    coroutine,
    generator,
    async_generator,
    manager,
    async_manager,
    partial(two, b=2),
    partial(partial(manager)),
    partial(coroutine),
    Sum(2),
    Sum(2).method,
    Sum(2).managed,
    Sum.of_class,
    Sum.static,
    AsyncSum(),
    AsyncSum().__call__,
    GeneratingSum(),
    wrapped(function),
    wrapped(coroutine),
    wrapped(generator),
    wrapped(wrapped(async_manager)),
    lru_cache(function),
    positional_only,
    after_a_default,
    keyword_only,
    variadic,
    lambda: 42,
]


def said_of(form: object) -> str:
    """The same in every process, as those that share the tests must agree on their names."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(form))


@pytest.mark.parametrize("form", FORMS, ids=said_of)
async def test_a_dependency_of_any_form(form: Callable[..., Any], resolve: Resolve) -> None:
    async def annotated(value: Annotated[int, Dependency(form)]) -> int:
        return value

    async def by_default(value: int = Dependency(form)) -> int:
        return value

    assert await resolve(annotated) == 42
    assert await resolve(by_default) == 42


@pytest.mark.parametrize("form", [function, generator, manager, Sum(2), lambda: 42], ids=said_of)
async def test_a_dependency_in_a_thread(form: Callable[..., Any], resolve: Resolve) -> None:
    async def handler(value: Annotated[int, Dependency(form, thread=True)]) -> int:
        return value

    assert await resolve(handler) == 42


async def test_thread_is_where_it_runs(resolve: Resolve) -> None:
    def thread() -> int:
        return threading.get_ident()

    async def handler(
        there: Annotated[int, Dependency(thread, thread=True)],
        here: Annotated[int, Dependency(thread)],
    ) -> tuple[int, int]:
        return there, here

    there, here = await resolve(handler)
    assert here == threading.get_ident() != there


async def test_classes_are_made_with_what_their_init_asks_for(resolve: Resolve) -> None:
    @dataclass
    class Data:
        a: Base
        tags: list[str] | None = None

    class Inherits(Sum):
        def __init__(self, b: Base, **options: Any) -> None:
            super().__init__(b)

    class New:
        def __new__(cls, b: Base) -> "New":
            made = super().__new__(cls)
            made.b = b
            return made

        b: int

    class Settings(BaseModel):
        tags: list[str] = []

    class Repository(Protocol): ...

    # Until it is first made, its signature is (*args, **kwargs).
    class Stored(Repository): ...

    async def handler(
        data: Annotated[Data, Dependency(Data)],
        inherits: Annotated[Inherits, Dependency(Inherits)],
        new: Annotated[New, Dependency(New)],
        settings: Annotated[Settings, Dependency(Settings)],
        stored: Annotated[Repository, Dependency(Stored)],
    ) -> Any:
        assert isinstance(stored, Stored)
        return data, inherits.b, new.b, settings

    assert await resolve(handler) == (Data(40), 40, 40, Settings())


async def test_a_context_manager_that_is_returned_is_not_entered(resolve: Resolve) -> None:
    class Session:
        entered = False

        def __enter__(self) -> None:
            self.entered = True

        def __exit__(self, *_: object) -> None: ...

    async def handler(session: Annotated[Session, Dependency(Session)]) -> bool:
        return session.entered

    assert await resolve(handler) is False


async def test_handlers_of_any_form(event: Event[Any], resolve: Resolve) -> None:
    class Handlers:
        async def method(self, event: Event[Any], a: Base) -> Any:
            return event, a

        def sync_method(self, event: Event[Any], a: Base) -> Any:
            return event, a

        async def __call__(self, *, a: Base, event: Event[Any]) -> Any:
            return event, a

    async def bound_later(b: int, event: Event[Any], a: Base) -> Any:
        return event, a

    handlers = Handlers()
    forms = [handlers.method, handlers.sync_method, handlers, partial(bound_later, 1)]
    for form in [*forms, wrapped(handlers.method)]:
        assert await resolve(form) == (event, 40)


async def test_a_handler_that_is_not_async_runs_in_a_thread(resolve: Resolve) -> None:
    async def later() -> str:
        return "awaited"

    assert await resolve(lambda: threading.get_ident()) != threading.get_ident()
    assert await resolve(lambda: later()) == "awaited"


async def test_the_event_and_types_reach_handler_and_dependencies(
    event: Event[Any], resolve: Resolve
) -> None:
    emitter = Emitter()

    def dependency(event: Event, emitter: Emitter) -> Any:  # type: ignore[type-arg]
        return event, emitter

    async def handler(
        one: Event[dict[str, int]],
        made: Annotated[Any, Dependency(dependency)],
        plain: Emitter,
        optional: Optional[Emitter],  # noqa: UP045
        union: Emitter | None,
        annotated: Annotated[Emitter, "why"],
        default: Emitter | None = None,
        other: SubEmitter | None = None,
        both: Emitter | int | None = None,
    ) -> Any:
        assert other is None
        assert both is None
        return one, made, {plain, optional, union, annotated, default}

    assert await resolve(handler, {Emitter: emitter}) == (event, (event, emitter), {emitter})


async def test_defaults_are_kept_and_kept_apart(resolve: Resolve) -> None:
    async def handler(a: Any = 0, b: Any = False, /, c: int = 3, *, d: int = 4) -> Any:
        return a, b, c, d

    result = await resolve(handler)
    assert result == (0, False, 3, 4)
    assert result[1] is False


async def test_the_innermost_and_the_optional_annotation(resolve: Resolve) -> None:
    async def handler(
        last: Annotated[Base, Dependency(lambda: 1)],
        optional: Annotated[int | None, Dependency(base)] = None,
        quoted: Annotated["Nowhere", Dependency(base)] = 0,  # type: ignore[name-defined]  # noqa: F821
    ) -> Any:
        return last, optional, quoted

    assert await resolve(handler) == (1, 40, 40)


async def test_a_default_counts_where_the_annotation_cannot_be_evaluated(resolve: Resolve) -> None:
    def dependency(
        plain: "Nowhere" = 1,  # type: ignore[name-defined]  # noqa: F821
        nested: "dict[str, Nowhere] | None" = None,  # type: ignore[name-defined]  # noqa: F821
        syntax: "1 +" = 2,  # type: ignore[syntax]  # noqa: F722  # pyright: ignore
        *,
        by_name: "Nowhere" = 3,  # type: ignore[name-defined]  # noqa: F821
    ) -> Any:
        return plain, nested, syntax, by_name

    async def handler(
        made: Annotated[Any, Dependency(dependency)],
        own: "Nowhere" = 4,  # type: ignore[name-defined]  # noqa: F821
    ) -> Any:
        return made, own

    assert await resolve(handler) == ((1, None, 2, 3), 4)


async def test_a_client_of_a_library_is_made_with_its_defaults(resolve: Resolve) -> None:
    httpx = pytest.importorskip("httpx2")

    async def handler(client: Annotated[Any, Dependency(httpx.AsyncClient)]) -> Any:
        return client

    client = await resolve(handler)
    assert isinstance(client, httpx.AsyncClient)
    await client.aclose()
