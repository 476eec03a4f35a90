"""Code around handlers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from dispytch.events import Event

Next = Callable[[Event[Any]], Awaitable[Any]]
"""The rest of the way to the handler, and back with what it returned."""


class Middleware(Protocol):
    """An async callable around every run of a handler: ``async def f(event, call_next)``.

    It runs once per handler and attempt, with the body validated and before the handler's
    dependencies are resolved. What it raises counts as the handler's failure; when it does not
    call ``call_next``, the event counts as handled.
    """

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Do something before, call the rest, do something after, and return the result."""
        ...


def wrap(handler: Next, middlewares: Sequence[Middleware]) -> Next:
    """The handler with the middlewares around it, the first one outermost."""
    for middleware in reversed(middlewares):
        handler = _around(middleware, handler)
    return handler


def _around(middleware: Middleware, call_next: Next) -> Next:
    def run(event: Event[Any]) -> Awaitable[Any]:
        return middleware(event, call_next)

    return run
