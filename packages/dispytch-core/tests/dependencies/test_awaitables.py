"""What is awaitable is awaited, whatever gave it; and mocks are what tests make of them."""

import asyncio
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Generator, Iterator
from functools import partial, wraps
from typing import Annotated, Any
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec, patch

import pytest

from dispytch.dependencies import Dependency
from dispytch.events import Event

Resolve = Callable[..., Awaitable[Any]]


async def coroutine() -> int:
    await asyncio.sleep(0)
    return 42


class Later:
    """An awaitable of one's own."""

    def __await__(self) -> Generator[Any, None, int]:
        return coroutine().__await__()


def returns_a_coroutine() -> Awaitable[int]:
    return coroutine()


def returns_a_task() -> Awaitable[int]:
    return asyncio.ensure_future(coroutine())


def returns_one_of_its_own() -> Later:
    return Later()


def returns_the_value() -> int:
    return 42


@types.coroutine
def generating() -> Generator[Any, None, int]:
    yield
    return 42


class Called:
    def __call__(self) -> Awaitable[int]:
        return coroutine()

    def method(self) -> Awaitable[int]:
        return coroutine()


class SyncToAsync:
    """As asgiref makes them: it says that it wraps a function that is not async."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.__wrapped__ = func

    async def __call__(self) -> Any:
        return await asyncio.to_thread(self.func)


def wrapped(func: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


def run_to_its_end(func: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps what is async, and is not."""

    @wraps(func)
    def wrapper() -> Any:
        made = func()
        try:
            while True:
                made.send(None)
        except StopIteration as ended:
            return ended.value

    return wrapper


def yields_a_coroutine() -> Iterator[Awaitable[int]]:
    yield coroutine()


async def yields_a_coroutine_too() -> Any:
    yield coroutine()


ANY = [
    coroutine,
    returns_a_coroutine,
    returns_one_of_its_own,
    returns_the_value,
    lambda: coroutine(),
    partial(returns_a_coroutine),
    Called(),
    Called().method,
    SyncToAsync(returns_the_value),
    wrapped(coroutine),
    wrapped(returns_a_coroutine),
    run_to_its_end(coroutine),
    generating,
    AsyncMock(return_value=42),
    Mock(return_value=42),
    Mock(side_effect=coroutine),
    MagicMock(side_effect=returns_a_coroutine),
    create_autospec(coroutine, return_value=42),
    create_autospec(returns_the_value, return_value=42),
]
YIELDING = [yields_a_coroutine, yields_a_coroutine_too]
IN_THE_LOOP = [returns_a_task, Later]


@pytest.mark.parametrize("scope", ["event", "app"])
@pytest.mark.parametrize("func", [*ANY, *YIELDING, *IN_THE_LOOP])
async def test_what_a_dependency_gives_is_awaited(func: Any, scope: Any, resolve: Resolve) -> None:
    async def handler(given: Annotated[int, Dependency(func, scope=scope)]) -> int:
        return given

    assert await resolve(handler) == 42


@pytest.mark.parametrize("scope", ["event", "app"])
@pytest.mark.parametrize(
    "func", [returns_a_coroutine, returns_one_of_its_own, lambda: coroutine(), yields_a_coroutine]
)
async def test_so_is_what_comes_from_a_thread(func: Any, scope: Any, resolve: Resolve) -> None:
    async def handler(given: Annotated[int, Dependency(func, thread=True, scope=scope)]) -> int:
        return given

    assert await resolve(handler) == 42


@pytest.mark.parametrize("func", [one for one in ANY if one is not generating])
async def test_so_is_what_a_handler_gives(func: Any, resolve: Resolve) -> None:
    assert await resolve(func) == 42


async def test_it_is_awaited_once_and_shared(resolve: Resolve) -> None:
    made: list[int] = []

    async def later() -> int:
        made.append(1)
        return len(made)

    def get() -> Awaitable[int]:
        return later()

    def inner(n: Annotated[int, Dependency(get)]) -> int:
        return n

    async def handler(
        a: Annotated[int, Dependency(get)], b: Annotated[int, Dependency(inner)]
    ) -> Any:
        return a, b

    assert await resolve(handler) == (1, 1)


async def test_a_generator_is_torn_down_when_what_it_yields_fails(resolve: Resolve) -> None:
    log: list[str] = []

    async def fails() -> int:
        raise LookupError

    def get() -> Iterator[Awaitable[int]]:
        try:
            yield fails()
        finally:
            log.append("closed")

    async def handler(n: Annotated[int, Dependency(get)]) -> None: ...

    with pytest.raises(LookupError):
        await resolve(handler)
    assert log == ["closed"]


# Mocks


class Db:
    async def fetch(self, number: int) -> str:
        return f"row {number}"


def get_db(event: Event[Any]) -> Db:
    return Db()


async def get_db_later(event: Event[Any]) -> Db:
    return Db()


def get_db_in_turn(event: Event[Any]) -> Iterator[Db]:
    yield Db()


async def get_db_in_turn_later(event: Event[Any]) -> Any:
    yield Db()


REAL = [get_db, get_db_later, get_db_in_turn, get_db_in_turn_later, Db]
FAKES: dict[str, Callable[[Any, Any], Any]] = {
    "Mock": lambda real, value: Mock(return_value=value),
    "MagicMock": lambda real, value: MagicMock(return_value=value),
    "AsyncMock": lambda real, value: AsyncMock(return_value=value),
    "Mock(spec)": lambda real, value: Mock(spec=real, return_value=value),
    "MagicMock(spec)": lambda real, value: MagicMock(spec=real, return_value=value),
    "AsyncMock(spec)": lambda real, value: AsyncMock(spec=real, return_value=value),
    "Mock(spec_set)": lambda real, value: Mock(spec_set=real, return_value=value),
    "Mock(wraps)": lambda real, value: Mock(wraps=lambda *args: value),
    "Mock(side_effect)": lambda real, value: Mock(side_effect=lambda *args: value),
}


@pytest.mark.parametrize("scope", ["event", "app"])
@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize("fake", FAKES)
@pytest.mark.parametrize("real", [get_db, get_db_in_turn, Db])
async def test_mocks_stand_in(
    real: Any, fake: str, thread: bool, scope: Any, resolve: Resolve
) -> None:
    value = Mock(spec=Db)
    mock = FAKES[fake](real, value)

    async def handler(db: Annotated[Any, Dependency(real, thread=thread, scope=scope)]) -> Any:
        return db

    assert await resolve(handler, overrides={real: mock}) is value
    mock.assert_called_once()
    assert mock.call_args.args == ()


@pytest.mark.parametrize("real", [get_db_later, get_db_in_turn_later])
@pytest.mark.parametrize("fake", FAKES)
async def test_mocks_stand_in_for_what_is_async(real: Any, fake: str, resolve: Resolve) -> None:
    value = AsyncMock(spec=Db)
    mock = FAKES[fake](real, value)

    async def handler(db: Annotated[Any, Dependency(real)]) -> Any:
        return db

    assert await resolve(handler, overrides={real: mock}) is value


@pytest.mark.parametrize("real", [get_db, get_db_later])
async def test_one_that_checks_its_arguments_is_given_them(
    real: Any, event: Event[Any], resolve: Resolve
) -> None:
    value = Mock(spec=Db)
    mock = create_autospec(real, return_value=value)

    async def handler(db: Annotated[Any, Dependency(real)]) -> Any:
        return db

    assert await resolve(handler, overrides={real: mock}) is value
    mock.assert_called_once_with(event)


async def test_a_class_with_its_specification(resolve: Resolve) -> None:
    mock = create_autospec(Db)
    mock.return_value.fetch.return_value = "fake"

    async def handler(db: Annotated[Any, Dependency(Db)]) -> Any:
        return await db.fetch(1)

    assert await resolve(handler, overrides={Db: mock}) == "fake"


@pytest.mark.parametrize(
    "value",
    [
        Mock(),
        MagicMock(),
        AsyncMock(),
        Mock(spec=asyncio.Future),
        MagicMock(spec=Db),
        create_autospec(Db, instance=True),
    ],
)
async def test_a_mock_may_be_what_is_made(value: Any, resolve: Resolve) -> None:
    def get() -> Any:
        return value

    async def handler(one: Annotated[Any, Dependency(get)]) -> Any:
        return one

    assert await resolve(handler) is value
    value.assert_not_called()


async def test_a_patched_function_stands_in(resolve: Resolve) -> None:
    with patch.object(sys.modules[__name__], "get_db", autospec=True) as mock:
        mock.return_value = "patched"

        async def handler(db: Annotated[Any, Dependency(get_db)]) -> Any:
            return db

        assert await resolve(handler) == "patched"


async def test_a_function_that_is_not_async_still_has_a_thread(resolve: Resolve) -> None:
    def handler() -> Awaitable[str]:
        async def later(name: str) -> str:
            return f"{name}, then {threading.current_thread().name}"

        return later(threading.current_thread().name)

    first, _, then = (await resolve(handler)).partition(", then ")
    assert then == threading.main_thread().name
    assert first != then
