"""Turning the errors of other libraries into decisions about an event."""

from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from typing import Any, cast

from dispytch.awaitables import awaited
from dispytch.batch import BatchMiddleware, NextBatch
from dispytch.events import Event
from dispytch.exceptions import BatchFailed, ConfigurationError, Postpone, RetryAfter
from dispytch.middleware.chain import Next
from dispytch.printable import described

Replacement = Exception | type[Exception] | Callable[[Any], "Exception | Awaitable[Exception]"]
"""What is raised in an error's place: an exception, its class, or a function of the error."""

_Make = Callable[[Any], object]


def map_exceptions(replacements: Mapping[type[Exception], Replacement]) -> BatchMiddleware:
    """A middleware that raises other errors in the place of those that come from within.

    The keys are exception classes; the one that is closest to the error's own class counts, in
    whatever order they are given. The value is an exception, of which a copy is raised; a class,
    which is given the error's name and text; or a function that makes one of the error. The error
    becomes its cause. What has no key passes as it is, `Reject`, `Skip` and `RetryAfter` too.
    Around a batch handler, the errors in a `BatchFailed` are replaced, each by itself.

    Raises:
        ConfigurationError: nothing to map, a key that is no exception class, a value that makes
            no exception, or an exception that cannot be copied.
    """
    if not isinstance(replacements, Mapping) or not replacements:
        raise ConfigurationError(
            "map_exceptions takes what to raise for which error, as in "
            f"{{TimeoutError: RetryAfter(5)}}, not {replacements!r}"
        )
    return _ExceptionMap({kind: _maker(kind, one) for kind, one in replacements.items()})


class _ExceptionMap:
    def __init__(self, makers: Mapping[type[Exception], _Make]) -> None:
        self._makers = makers

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        try:
            return await call_next(event)
        except Exception as error:
            replacement = await self._replaced(error)
            if replacement is error:
                raise
            raise replacement from error

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        try:
            return await call_next(events)
        except BatchFailed as partial:
            # An error that several events share stays one.
            errors = {id(error): error for error in partial.failures.values()}
            replaced = {one: await self._chained(error) for one, error in errors.items()}
            raise BatchFailed(
                {index: replaced[id(error)] for index, error in partial.failures.items()}
            ) from partial.__cause__
        except Exception as error:
            replacement = await self._replaced(error)
            if replacement is error:
                raise
            raise replacement from error

    async def _chained(self, error: Exception) -> Exception:
        replacement = await self._replaced(error)
        if replacement is not error:
            replacement.__cause__ = error
        return replacement

    async def _replaced(self, error: Exception) -> Exception:
        for kind in type(error).__mro__:
            make = self._makers.get(kind)
            if make is not None:
                made = await awaited(make(error))
                if not isinstance(made, Exception):
                    raise TypeError(
                        f"map_exceptions: the function for {kind.__name__} gave {made!r}, not an "
                        "exception"
                    )
                return made
        return error


def _maker(kind: object, replacement: object) -> _Make:
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise ConfigurationError(f"map_exceptions: {kind!r} is no exception class")
    if isinstance(replacement, Exception):
        _check_copies(kind, replacement)
        # One exception for all events would grow a traceback, and be shared among them.
        return lambda error: copy(replacement)
    if isinstance(replacement, type):
        return _maker_of_class(kind, cast("type[object]", replacement))
    if not callable(replacement):
        raise ConfigurationError(
            f"map_exceptions: for {kind.__name__} an exception, its class or a function that makes "
            f"one is taken, not {replacement!r}"
        )
    return cast("_Make", replacement)


def _check_copies(kind: type[Exception], replacement: Exception) -> None:
    try:
        again = copy(replacement)
    except Exception as error:
        raise ConfigurationError(
            f"map_exceptions: the {type(replacement).__name__} for {kind.__name__} cannot be "
            f"copied, and each event needs one of its own ({described(error)}); "
            f"give a function that makes one: lambda error: {type(replacement).__name__}(...)"
        ) from error
    if type(again) is not type(replacement):
        raise ConfigurationError(
            f"map_exceptions: a copy of the {type(replacement).__name__} for {kind.__name__} is "
            f"{again!r}; give a function that makes one"
        )


def _maker_of_class(kind: type[Exception], replacement: type[object]) -> _Make:
    if not issubclass(replacement, Exception):
        raise ConfigurationError(
            f"map_exceptions: {replacement.__name__}, for {kind.__name__}, is no exception class"
        )
    if issubclass(replacement, RetryAfter | Postpone):
        name = replacement.__name__
        raise ConfigurationError(
            f"map_exceptions: for {kind.__name__} say after how many seconds: {name}(5)"
        )
    return lambda error: replacement(described(error))
