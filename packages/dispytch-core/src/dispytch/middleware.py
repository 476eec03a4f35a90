"""Code around handlers."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from inspect import iscoroutinefunction
from typing import Any, Protocol, TypeVar

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


M = TypeVar("M", bound=Callable[..., Any])


def provides(*kinds: type) -> Callable[[M], M]:
    """Declare what a middleware provides: handlers within it may ask for these types by name.

    For functions, and for classes whose objects are middlewares. The middleware gives the values
    with ``event.provide(kind, value)`` before it calls ``call_next(event)``.

    Raises:
        ConfigurationError: nothing, or something that is no class.
    """
    if not kinds or not all(isinstance(kind, type) for kind in kinds):
        raise ConfigurationError(
            f"provides takes the classes that a middleware provides, not {kinds!r}"
        )

    def declare(middleware: M) -> M:
        # A class of middlewares may extend one that provides something already.
        middleware.provides = (*_provided_by(middleware), *kinds)  # type: ignore[attr-defined]
        return middleware

    return declare


def provided_within(middlewares: Iterable[Middleware]) -> frozenset[type]:
    """The types that handlers within these middlewares may ask for."""
    return frozenset(kind for middleware in middlewares for kind in _provided_by(middleware))


def _provided_by(middleware: object) -> tuple[type, ...]:
    kinds: tuple[type, ...] = getattr(middleware, "provides", ())
    return kinds


def wrap(handler: Next, middlewares: Sequence[Middleware]) -> Next:
    """The handler with the middlewares around it, the first one outermost."""
    if middlewares and not iscoroutinefunction(handler):
        handler = _awaited(handler)
    for middleware in reversed(middlewares):
        handler = _around(middleware, handler)
    return handler


def _awaited(handler: Next) -> Next:
    """The handler, where nothing happens, and nothing is raised, before it is awaited."""

    async def run(event: Event[Any]) -> Any:
        return await handler(event)

    return run


def _around(middleware: Middleware, call_next: Next) -> Next:
    def run(event: Event[Any]) -> Awaitable[Any]:
        return middleware(event, call_next)

    return run
