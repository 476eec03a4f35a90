"""Every place an annotation can stand in, when all of them are strings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel
from typing_extensions import TypeAliasType

from dispytch.dependencies import Dependency, compile_handler
from dispytch.events import Event

if TYPE_CHECKING:
    from decimal import Decimal

Resolve = Callable[..., Awaitable[Any]]


class User(BaseModel): ...


class Emitter: ...


def base() -> int:
    return 40


Base = Annotated[int, Dependency(base)]
Alias = TypeAliasType("Alias", Base)


def added(a: int, b: int) -> int:
    return a + b


class Service:
    def __init__(self, a: Base) -> None:
        self.a = a

    def method(self, a: Base) -> int:
        return self.a + a

    async def __call__(self, a: Base) -> int:
        return self.a + a


class Inherits(Service): ...


class Pair(NamedTuple):
    a: Base
    b: int = 2


@dataclass
class Data:
    a: Base
    emitter: Emitter | None


def returns_what_is_not_there(a: Base) -> Decimal:
    return a  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def generator(service: Annotated[Service, Dependency(Service)]) -> Iterator[int]:
    yield service.a


async def async_generator(n: Annotated[int, Dependency(generator)]) -> AsyncIterator[int]:
    yield n


def wrapped(func: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


async def everything(
    b: int,
    event: Event[User],
    emitter: Emitter,
    data: Annotated[Data, Dependency(Data)],
    inherits: Annotated[Inherits, Dependency(Inherits)],
    method: Annotated[int, Dependency(Service(1).method)],
    called: Annotated[int, Dependency(Service(2))],
    yielded: Annotated[int, Dependency(async_generator)],
    given: Annotated[int, Dependency(partial(added, 1, 2))],
    around: Annotated[int, Dependency(wrapped(returns_what_is_not_there))],
    alias: Alias,
    pair: Annotated[Pair, Dependency(Pair)],
    unknown: Decimal = Dependency(base),
    optional: Emitter | None = None,
) -> Any:
    return (
        b,
        data,
        (inherits.a, pair),
        (method, called, yielded, given, around, alias, unknown),
        emitter is optional,
    )


async def test_annotations_at_module_level(resolve: Resolve) -> None:
    emitter = Emitter()
    result = await resolve(wrapped(partial(everything, 1)), {Emitter: emitter})
    assert result == (1, Data(40, emitter), (40, (40, 2)), (41, 42, 40, 3, 40, 40, 40), True)
    assert compile_handler(partial(everything, 1), provided=(Emitter,)).body is User


async def test_names_of_a_function_that_still_runs() -> None:
    class Local(BaseModel): ...

    def get_local(event: Event[Local]) -> Local:
        return event.body

    class New:
        def __new__(cls, event: Event[Local]) -> New:
            return super().__new__(cls)

    async def handler(
        event: Event[Local],
        local: Annotated[Local, Dependency(get_local)],
        new: Annotated[New, Dependency(New)],
    ) -> None: ...

    assert compile_handler(handler).body is Local


def test_names_in_the_closure_of_a_function_that_has_ended() -> None:
    def make() -> Callable[..., Any]:
        class Local(BaseModel): ...

        async def handler(event: Event[Local]) -> Any:
            return Local

        return handler

    assert compile_handler(make()).body.__name__ == "Local"
