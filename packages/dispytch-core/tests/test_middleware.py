"""Code around handlers."""

from typing import Any

import pytest

from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.messages import Delivery, Lease
from dispytch.middleware import Middleware, Next, wrap

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
