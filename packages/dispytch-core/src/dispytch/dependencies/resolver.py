"""Running a plan: `bind` turns it into one callable that does nothing but the calls."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextvars import copy_context
from inspect import isawaitable
from itertools import groupby
from typing import Any

from dispytch.dependencies.generators import Opened
from dispytch.dependencies.places import Places, Values, invocation, making, opening
from dispytch.dependencies.plan import Call, Plan
from dispytch.dependencies.threads import in_thread
from dispytch.events import Event

Rest = Callable[[Values], Awaitable[Any]]
"""What is still to be done in a run, given the values so far."""

Run = Callable[[Event[Any]], Awaitable[Any]]


def bind(
    plan: Plan,
    values: Mapping[type, object],
    threads: Executor | None = None,
    of_app: Sequence[object] = (),
) -> Run:
    """The plan as an async callable of the event, which returns what the handler returns.

    ``values`` holds a value for each of ``plan.provided``; ``of_app`` what each app-scoped step has
    made. Dependencies and an async handler run in the task that awaits it, with its context
    variables; a handler that is not async runs in a worker thread, one of ``threads``, with a copy
    of them. Before it is done, generators are torn down in reverse order. It raises what the
    handler, a dependency or a teardown raises, an earlier exception being the context of a later
    one.

    Raises:
        KeyError: a type in ``plan.provided`` has no value.
    """
    places = Places((*plan.steps, plan.handler), values, of_app, threads)
    rest = _handling(plan.handler, places)
    for is_generator, steps in groupby(reversed(plan.steps), lambda step: step.is_generator):
        if is_generator:
            for step in steps:
                rest = _within(step, places, rest)
        else:
            rest = _after(tuple(steps)[::-1], places, rest)
    return _beginning(places, rest)


def _beginning(places: Places, rest: Rest) -> Run:
    """Gather what is known before the first step."""
    known, reads = places.known, places.reads
    if not reads:
        return lambda event: rest([event, *known])

    async def run(event: Event[Any]) -> Any:
        return await rest([event, *known, *[read(event) for read in reads]])

    return run


def _handling(call: Call, places: Places) -> Rest:
    invoke, threads = invocation(call, places), places.threads
    if call.is_async:
        return invoke

    async def handle(values: Values) -> Any:
        result = await in_thread(threads, copy_context(), invoke, values)
        # A function that is not async may still return what an async one has given it.
        return await result if isawaitable(result) else result

    return handle


def _after(steps: Sequence[Call], places: Places, rest: Rest) -> Rest:
    """Make the results of steps that need no teardown, then go on."""
    makes = [(making(step, places), step.is_async or step.thread) for step in steps]

    async def run(values: Values) -> Any:
        for make, is_async in makes:
            result = make(values)
            values.append(await result if is_async else result)
        return await rest(values)

    return run


def _within(step: Call, places: Places, rest: Rest) -> Rest:
    """Open a generator, go on within it, and tear it down."""
    if not (step.is_async or step.thread):
        invoke, name = invocation(step, places), step.name

        async def run(values: Values) -> Any:
            with Opened(invoke(values), name) as result:
                values.append(result)
                return await rest(values)

        return run
    opened = opening(step, places)

    async def run_async(values: Values) -> Any:
        async with opened(values) as result:
            values.append(result)
            return await rest(values)

    return run_async
