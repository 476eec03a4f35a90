"""Code around handlers: what a middleware is, and how several are put around one handler."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, cast

from dispytch.events import Event
from dispytch.exceptions import ConfigurationError

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
    if middlewares and not inspect.iscoroutinefunction(handler):
        handler = _awaited(handler)
    for middleware in reversed(middlewares):
        handler = _around(middleware, handler)
    return handler


def checked(middlewares: object) -> tuple[Middleware, ...]:
    """The middlewares, each of which can be one.

    Raises:
        ConfigurationError: one that is not async, or that does not take an event and the rest.
    """
    if not isinstance(middlewares, Sequence) or isinstance(middlewares, str):
        raise ConfigurationError(f"middlewares takes a list of middlewares, not {middlewares!r}")
    for one in cast("Sequence[object]", middlewares):
        _check(one)
    return tuple(cast("Sequence[Middleware]", middlewares))


def _awaited(handler: Next) -> Next:
    """The handler, where nothing happens, and nothing is raised, before it is awaited."""

    async def run(event: Event[Any]) -> Any:
        return await handler(event)

    return run


def _around(middleware: Middleware, call_next: Next) -> Next:
    def run(event: Event[Any]) -> Awaitable[Any]:
        return middleware(event, call_next)

    return run


def _check(middleware: object) -> None:
    if isinstance(middleware, type):
        raise ConfigurationError(
            f"a middleware is taken here, not the class {middleware.__name__}: "
            f"write {middleware.__name__}(...)"
        )
    if not callable(middleware) or not _takes_two(middleware):
        raise ConfigurationError(
            f"middlewares are callables with two parameters, as in async def middleware(event, "
            f"call_next), not {middleware!r}"
        )
    if _is_surely_sync(middleware):
        raise ConfigurationError(
            f"middleware {middleware!r} is not async; write async def, and await call_next(event)"
        )


def _takes_two(middleware: Callable[..., Any]) -> bool:
    try:
        inspect.signature(middleware).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # What is written in C may have no signature to look at.
        return True
    return True


def _is_surely_sync(middleware: object) -> bool:
    """Whether calling it cannot give an awaitable: a plain function, or an object with such."""
    while isinstance(middleware, partial):
        middleware = cast("partial[object]", middleware).func
    if not inspect.isroutine(middleware):
        middleware = type(middleware).__call__
    function = inspect.unwrap(middleware)
    plain = inspect.isfunction(function) or inspect.ismethod(function)
    return plain and not inspect.iscoroutinefunction(function)
