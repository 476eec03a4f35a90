"""What a middleware provides to the handlers within it."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dispytch.exceptions import ConfigurationError
from dispytch.middleware.chain import Middleware

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
