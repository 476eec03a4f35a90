"""Where the values of a run stand, and calls that take their arguments from there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextvars import copy_context
from operator import itemgetter
from typing import Any

from dispytch.dependencies.generators import AsyncOpened, ThreadOpened
from dispytch.dependencies.plan import (
    Argument,
    Call,
    Constant,
    FromEvent,
    OfApp,
    Provided,
    Result,
    TheEvent,
)
from dispytch.dependencies.threads import in_thread
from dispytch.events import Event

Values = list[Any]
"""The event, what is known before it comes, what is read off it, then the result of each step."""

Invoke = Callable[[Values], Any]


class Places:
    """Where in the values of a run each source stands, and the threads of the run."""

    def __init__(
        self,
        calls: Iterable[Call],
        values: Mapping[type, object],
        of_app: Sequence[object],
        threads: Executor | None,
    ) -> None:
        self.threads = threads
        sources = [argument.source for call in calls for argument in call.arguments]
        fixed = [one for one in sources if isinstance(one, (Provided, Constant, OfApp))]
        read = list(dict.fromkeys(one for one in sources if isinstance(one, FromEvent)))
        self.known: tuple[object, ...] = tuple(_known(one, values, of_app) for one in fixed)
        self.reads: tuple[Callable[[Event[Any]], Any], ...] = tuple(one.read for one in read)
        self._before = [TheEvent(), *fixed, *read]

    def of(self, argument: Argument) -> int:
        """The place of an argument's value."""
        source = argument.source
        if isinstance(source, Result):
            return self.of_result(source.step)
        return self._before.index(source)

    def of_result(self, step: int) -> int:
        """The place of what a step makes."""
        return len(self._before) + step


def _known(
    source: Provided | Constant | OfApp, values: Mapping[type, object], of_app: Sequence[object]
) -> object:
    match source:
        case Provided(kind):
            return values[kind]
        case OfApp(step):
            return of_app[step]
        case Constant(value):
            return value


def invocation(call: Call, places: Places) -> Invoke:
    """Call with the arguments taken from the values; the usual cases cost no tuple."""
    func = call.func
    positional = [places.of(one) for one in call.arguments if one.keyword is None]
    named = {one.keyword: places.of(one) for one in call.arguments if one.keyword is not None}
    if named:
        return lambda values: func(
            *[values[place] for place in positional],
            **{name: values[place] for name, place in named.items()},
        )
    if not positional:
        return lambda values: func()
    if len(positional) == 1:
        place = positional[0]
        return lambda values: func(values[place])
    pick = itemgetter(*positional)
    return lambda values: func(*pick(values))


def making(step: Call, places: Places) -> Invoke:
    """Make what a step without teardown makes; an awaitable if it is async or in a thread."""
    invoke, threads = invocation(step, places), places.threads
    if not step.thread:
        return invoke
    return lambda values: in_thread(threads, copy_context(), invoke, values)


def opening(step: Call, places: Places) -> Callable[[Values], AsyncOpened | ThreadOpened]:
    """Open a generator that is async, or runs in a thread."""
    invoke, name, threads = invocation(step, places), step.name, places.threads
    if step.is_async:
        return lambda values: AsyncOpened(invoke(values), name)
    return lambda values: ThreadOpened(invoke(values), name, threads)
