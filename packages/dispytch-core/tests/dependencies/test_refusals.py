"""Wiring that cannot work is refused when the handler is compiled, with path and remedy."""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from dispytch.dependencies import Dependency, Header, compile_handler
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, DependencyError, InvalidHandler

HERE = __name__


class Emitter: ...


class SubEmitter(Emitter): ...


class Clock: ...


class User(BaseModel): ...


class Order(BaseModel): ...


def needs_x(x: int) -> int:
    return x


def needs_needs_x(y: Annotated[int, Dependency(needs_x)]) -> int:
    return y


async def missing(svc: Annotated[int, Dependency(needs_needs_x)]) -> None: ...


async def unannotated(x) -> None: ...  # type: ignore[no-untyped-def]


async def forward(x: "Nowhere", y: int = 1) -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def no_type(x: Any) -> None: ...


no_type.__annotations__["x"] = "1 +"


def one(b: "Two") -> int:
    return b


def two(a: Annotated[int, Dependency(one, use_cache=False)]) -> int:
    return a


Two = Annotated[int, Dependency(two)]


async def cycle(a: Annotated[int, Dependency(one)]) -> None: ...


async def coroutine_of() -> int:
    return 1


async def itself(a: "Itself") -> None: ...


Itself = Annotated[int, Dependency(itself)]


def twice() -> Iterator[int]:
    yield 1
    yield 2


async def async_twice() -> AsyncGenerator[int, int]:
    if time:
        value = 1
        yield value
        print()
        value = yield value


async def yields_twice(a: Annotated[int, Dependency(twice)]) -> None: ...


async def yields_twice_async(a: Annotated[int, Dependency(async_twice)]) -> None: ...


def of_user(event: Event[User]) -> User:
    return event.body


async def two_bodies(event: Event[Order], user: Annotated[User, Dependency(of_user)]) -> None: ...


async def bare_and_typed(event: Event, user: Annotated[User, Dependency(of_user)]) -> None: ...  # type: ignore[type-arg]


async def opaque(*args: Any, **kwargs: Any) -> None: ...


async def variadic(event: Event[User], *more: int) -> None: ...


async def variadic_by_name(event: Event[User], **more: int) -> None: ...


async def both_ways(a: Annotated[int, Dependency(coroutine_of)] = Dependency(needs_x)) -> None: ...


async def in_a_union(a: Annotated[int, Dependency(coroutine_of)] | None = None) -> None: ...


async def in_a_wider_union(
    a: Annotated[int, Dependency(coroutine_of)] | str | None = None,
) -> None: ...


async def in_a_list(a: "list[Annotated[int, Dependency(coroutine_of)]]" = []) -> None: ...  # noqa: B006


async def header_in_a_union(a: Annotated[int, Header()] | bytes = 1) -> None: ...


async def header_in_a_dict(a: dict[str, list[Annotated[int, Header()]]] | None = None) -> None: ...


async def in_a_body(event: Event[Annotated[User, Dependency(coroutine_of)]]) -> None: ...


async def asks_in_vain(event: "Event[Nowhere] | None" = None) -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def of_opaque(a: Annotated[int, Dependency(lambda *args, **kwargs: 1)]) -> None: ...


async def of_builtin(now: Annotated[float, Dependency(max)]) -> None: ...


async def coroutine() -> int:
    return 1


async def async_in_thread(a: Annotated[int, Dependency(coroutine, thread=True)]) -> None: ...


def generating(event: Event[User]) -> Iterator[None]:
    yield


async def subtype(x: SubEmitter) -> None: ...


class Handlers:
    async def unbound(self, event: Event[User]) -> None: ...


HANDLER = "handler `" + HERE + ".{}`"

REFUSALS: list[tuple[Callable[..., Any], type[ConfigurationError], str, str]] = [
    (
        missing,
        DependencyError,
        " → parameter `svc` → dependency `needs_needs_x` → parameter `y` → dependency `needs_x` "
        "→ parameter `x`: nothing provides it",
        "Annotated[..., Dependency(...)] or with one of Event, Event[...], Emitter, Clock",
    ),
    (unannotated, DependencyError, " → parameter `x`: nothing provides it", "give it a default"),
    (subtype, DependencyError, " → parameter `x`: nothing provides it", "give it a default"),
    (Handlers.unbound, DependencyError, " → parameter `self`: nothing", "the bound method"),
    (forward, DependencyError, " → parameter `x`: its annotation 'Nowhere'", "TYPE_CHECKING"),
    (no_type, DependencyError, " → parameter `x`: its annotation '1 +'", "TYPE_CHECKING"),
    (
        cycle,
        DependencyError,
        " → parameter `a` → dependency `one` → parameter `b` → dependency `two` → parameter `a` "
        "→ dependency `one`: a cycle, `one` → `two` → `one`",
        "must do without the next",
    ),
    (itself, DependencyError, " → parameter `a` → dependency `itself`: a cycle", "do without"),
    (
        yields_twice,
        DependencyError,
        " → parameter `a` → dependency `twice` yields a second time, in line ",
        "exactly once",
    ),
    (yields_twice_async, DependencyError, "dependency `async_twice` yields a second", "once"),
    (
        two_bodies,
        InvalidHandler,
        " → parameter `user` → dependency `of_user` → parameter `event` asks for Event[User], "
        f"but handler `{HERE}.two_bodies` → parameter `event` for Event[Order]",
        "same type",
    ),
    (bare_and_typed, InvalidHandler, "parameter `event` for plain Event", "same type"),
    (opaque, InvalidHandler, ": it takes only *args and **kwargs", "functools.wraps"),
    (of_opaque, DependencyError, "dependency `<lambda>`: it takes only", "functools.wraps"),
    (of_builtin, DependencyError, "dependency `max`: its parameters cannot be read", "your own"),
    (async_in_thread, DependencyError, "dependency `coroutine` is async; thread=True", "block"),
    (generating, InvalidHandler, " is a generator", "must not yield"),
    (variadic, InvalidHandler, ": it takes *more: int", "name what it needs"),
    (variadic_by_name, InvalidHandler, ": it takes **more: int", "name what it needs"),
    (both_ways, DependencyError, "parameter `a`: its annotation says where", "keep one of them"),
    (in_a_union, DependencyError, "parameter `a`: Annotated stands for one member", "around"),
    (in_a_wider_union, DependencyError, "parameter `a`: Annotated stands within", "around"),
    (in_a_list, DependencyError, "parameter `a`: Annotated stands within list[", "around"),
    (header_in_a_union, DependencyError, "parameter `a`: Annotated stands within", "around"),
    (header_in_a_dict, DependencyError, "parameter `a`: Annotated stands within dict[", "around"),
    (in_a_body, DependencyError, "parameter `event`: Annotated stands within Event[", "around"),
    (asks_in_vain, DependencyError, "parameter `event`: its annotation", "TYPE_CHECKING"),
    (User, InvalidHandler, " is a class", "register a function or a bound method"),
]


@pytest.mark.parametrize(
    ("handler", "kind", "what", "remedy"), REFUSALS, ids=lambda one: getattr(one, "__name__", "")
)
def test_refused(
    handler: Callable[..., Any], kind: type[ConfigurationError], what: str, remedy: str
) -> None:
    with pytest.raises(kind) as raised:
        compile_handler(handler, provided=(Emitter, Clock))
    text = str(raised.value)
    assert HANDLER.format(handler.__qualname__) in text
    assert what in text
    assert remedy in text


def test_what_is_not_callable_is_refused_where_it_is_written() -> None:
    with pytest.raises(DependencyError, match=r"not 1; leave away the parentheses"):
        Dependency(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_the_line_of_the_second_yield_is_that_of_the_file() -> None:
    line = twice.__code__.co_firstlineno + 2
    with pytest.raises(DependencyError, match=f"in line {line};"):
        compile_handler(yields_twice)


def branches(flag: bool = True) -> Iterator[int]:
    if flag:
        yield 1
    else:
        yield 2


def returns_between(flag: bool = True) -> Iterator[int]:
    if flag:
        yield 1
        return
    yield 2


def ends_between() -> Iterator[int]:
    yield 1
    return
    yield 2


def nested() -> Iterator[int]:
    def inner() -> Iterator[int]:
        yield 1
        yield 2

    yield sum(inner())


def falls_back() -> Iterator[int]:
    try:
        yield 1
    except ValueError:
        yield 2


@pytest.mark.parametrize("generator", [branches, returns_between, ends_between, nested, falls_back])
def test_one_yield_on_each_path_is_fine(generator: Callable[..., Iterator[int]]) -> None:
    async def handler(a: Annotated[int, Dependency(generator)]) -> None: ...

    compile_handler(handler)


def test_a_generator_without_source_is_left_to_its_run() -> None:
    made: dict[str, Any] = {}
    exec("def generator():\n    yield 1\n    yield 2", made)

    async def handler(a: Annotated[int, Dependency(made["generator"])]) -> None: ...

    compile_handler(handler)
