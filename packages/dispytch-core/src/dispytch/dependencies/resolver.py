"""Running a plan: `bind` turns it into one callable that does nothing but the calls."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextvars import copy_context
from inspect import isawaitable
from itertools import groupby
from operator import itemgetter
from typing import Any

from dispytch.dependencies.generators import AsyncOpened, Opened, ThreadOpened
from dispytch.dependencies.plan import Argument, Call, Constant, Plan, Provided, Result, TheEvent
from dispytch.dependencies.threads import in_thread
from dispytch.events import Event

Values = list[Any]
"""The event, then what is known before it comes, then the result of each step."""

Invoke = Callable[[Values], Any]
Rest = Callable[[Values], Awaitable[Any]]
"""What is still to be done in a run, given the values so far."""


def bind(
    plan: Plan, values: Mapping[type, object], threads: Executor | None = None
) -> Callable[[Event[Any]], Awaitable[Any]]:
    """The plan as an async callable of the event, which returns what the handler returns.

    ``values`` holds a value for each of ``plan.provided``. Dependencies and an async handler run
    in the task that awaits it, with its context variables; a handler that is not async runs in a
    worker thread, one of ``threads``, with a copy of them. Before it is done, generators are torn
    down in reverse order. It raises what the handler, a dependency or a teardown raises, an
    earlier exception being the context of a later one.

    Raises:
        KeyError: a type in ``plan.provided`` has no value.
    """
    places = _Places(plan, values, threads)
    known = places.known
    rest = _handling(plan.handler, places)
    for is_generator, steps in groupby(reversed(plan.steps), lambda step: step.is_generator):
        if is_generator:
            for step in steps:
                rest = _within(step, places, rest)
        else:
            rest = _after(tuple(steps)[::-1], places, rest)
    run = rest
    return lambda event: run([event, *known])


class _Places:
    """Where in the values of a run each source stands, and the threads of the run."""

    def __init__(self, plan: Plan, values: Mapping[type, object], threads: Executor | None) -> None:
        self.threads = threads
        calls = (*plan.steps, plan.handler)
        sources = [argument.source for call in calls for argument in call.arguments]
        self._fixed = [one for one in sources if isinstance(one, (Provided, Constant))]
        self.known = tuple(
            values[one.type] if isinstance(one, Provided) else one.value for one in self._fixed
        )

    def of(self, argument: Argument) -> int:
        match argument.source:
            case TheEvent():
                return 0
            case Result(step):
                return 1 + len(self.known) + step
            case fixed:
                return 1 + self._fixed.index(fixed)


def _handling(call: Call, places: _Places) -> Rest:
    invoke, threads = _invocation(call, places), places.threads
    if call.is_async:
        return invoke

    async def handle(values: Values) -> Any:
        result = await in_thread(threads, copy_context(), invoke, values)
        # A function that is not async may still return what an async one has given it.
        return await result if isawaitable(result) else result

    return handle


def _after(steps: Sequence[Call], places: _Places, rest: Rest) -> Rest:
    """Make the results of steps that need no teardown, then go on."""
    makes = [(_making(step, places), step.is_async or step.thread) for step in steps]

    async def run(values: Values) -> Any:
        for make, is_async in makes:
            result = make(values)
            values.append(await result if is_async else result)
        return await rest(values)

    return run


def _making(step: Call, places: _Places) -> Invoke:
    invoke, threads = _invocation(step, places), places.threads
    if not step.thread:
        return invoke
    return lambda values: in_thread(threads, copy_context(), invoke, values)


def _within(step: Call, places: _Places, rest: Rest) -> Rest:
    """Open a generator, go on within it, and tear it down."""
    invoke, name = _invocation(step, places), step.name
    if not (step.is_async or step.thread):

        async def run(values: Values) -> Any:
            with Opened(invoke(values), name) as result:
                values.append(result)
                return await rest(values)

        return run
    threads = places.threads

    def opened(values: Values) -> AsyncOpened | ThreadOpened:
        made = invoke(values)
        return AsyncOpened(made, name) if step.is_async else ThreadOpened(made, name, threads)

    async def run_async(values: Values) -> Any:
        async with opened(values) as result:
            values.append(result)
            return await rest(values)

    return run_async


def _invocation(call: Call, places: _Places) -> Invoke:
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
