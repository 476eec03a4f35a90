"""Code around handlers."""

from collections.abc import Awaitable
from functools import partial, wraps
from typing import Any

import pytest

from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError
from dispytch.messages import Delivery, Lease
from dispytch.middleware import Filter, Middleware, Next, checked, wrap

EVENT = Event(
    "body",
    Envelope("id", "type", None, None, "application/json", b'"body"'),
    Delivery("t", b'"body"', None, (), Lease("t", "t[0]"), 0),
)


def noting(notes: list[str], name: str) -> Middleware:
    async def middleware(event: Event[Any], call_next: Next, /) -> Any:
        notes.append(f"{name} in")
        try:
            return f"{name}({await call_next(event)})"
        finally:
            notes.append(f"{name} out")

    return middleware


async def test_the_first_is_outermost_and_results_come_back() -> None:
    notes: list[str] = []

    async def handler(event: Event[Any]) -> str:
        notes.append("handler")
        return str(event.body)

    run = wrap(handler, [noting(notes, "a"), noting(notes, "b")])
    assert await run(EVENT) == "a(b(body))"
    assert notes == ["a in", "b in", "handler", "b out", "a out"]


async def test_an_error_passes_through_all_of_them() -> None:
    notes: list[str] = []

    async def handler(event: Event[Any]) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await wrap(handler, [noting(notes, "a"), noting(notes, "b")])(EVENT)
    assert notes == ["a in", "b in", "b out", "a out"]


async def test_a_middleware_may_leave_the_handler_out_or_run_it_twice() -> None:
    calls: list[Event[Any]] = []

    async def handler(event: Event[Any]) -> None:
        calls.append(event)

    async def never(event: Event[Any], call_next: Next, /) -> Any:
        return "skipped"

    async def twice(event: Event[Any], call_next: Next, /) -> Any:
        await call_next(event)
        await call_next(event)

    assert await wrap(handler, [never])(EVENT) == "skipped"
    assert calls == []
    await wrap(handler, [twice])(EVENT)
    assert calls == [EVENT, EVENT]


def test_without_middlewares_nothing_is_around_the_handler() -> None:
    async def handler(event: Event[Any]) -> None: ...

    assert wrap(handler, []) is handler


async def function(event: Event[Any], call_next: Next, /) -> Any: ...


async def with_more(event: Event[Any], call_next: Next, limit: int = 1) -> Any: ...


async def with_three(limit: int, event: Event[Any], call_next: Next) -> Any: ...


def not_async(event: Event[Any], call_next: Next) -> Any: ...


@wraps(function)
def wrapped(event: Event[Any], call_next: Next) -> Awaitable[Any]:
    return function(event, call_next)


class Object:
    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any: ...

    async def method(self, event: Event[Any], call_next: Next) -> Any: ...


class NotAsync:
    def __call__(self, event: Event[Any], call_next: Next) -> Any: ...


@pytest.mark.parametrize(
    "middleware",
    [
        function,
        with_more,
        wrapped,
        Object(),
        Object().method,
        partial(with_three, 5),
        Filter(lambda event: True),
    ],
)
def test_whatever_can_be_a_middleware_is_taken(middleware: Any) -> None:
    assert checked([middleware]) == (middleware,)


@pytest.mark.parametrize(
    ("middlewares", "text"),
    [
        (function, "a list"),
        ("log", "a list"),
        (["log"], "callables with two parameters"),
        ([Object], r"write Object\(\.\.\.\)"),
        ([with_three], "two parameters"),
        ([not_async], "write async def"),
        ([NotAsync()], "write async def"),
        ([partial(not_async)], "write async def"),
    ],
)
def test_what_cannot_is_refused_with_a_remedy(middlewares: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        checked(middlewares)
