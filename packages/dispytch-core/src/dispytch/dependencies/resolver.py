"""Running a plan: `bind` writes it out as one function that does nothing but the calls."""

import linecache
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from contextvars import copy_context
from typing import Any, Final, cast

from dispytch.awaitables import is_awaitable
from dispytch.dependencies.generators import AsyncOpened, Opened, ThreadOpened
from dispytch.dependencies.places import Places
from dispytch.dependencies.plan import Call, Plan
from dispytch.dependencies.threads import in_thread
from dispytch.events import Event

Run = Callable[[Event[Any]], Awaitable[Any]]

_NESTED: Final = 16

_KNOWN: Final[Mapping[str, object]] = {
    "AsyncExitStack": AsyncExitStack,
    "AsyncOpened": AsyncOpened,
    "Opened": Opened,
    "ThreadOpened": ThreadOpened,
    "copy_context": copy_context,
    "in_thread": in_thread,
    "is_awaitable": is_awaitable,
}


def bind(
    plan: Plan,
    values: Mapping[type, object],
    threads: Executor | None = None,
    of_app: Sequence[object] = (),
) -> Run:
    """The plan as a function of the event; what it returns is awaited, and is the handler's result.

    ``values`` holds a value for each of ``plan.provided``; ``of_app`` what each app-scoped step has
    made. Dependencies and an async handler run in the task that awaits it, with its context
    variables; a handler that is not async runs in a worker thread, one of ``threads``, with a copy
    of them. Before it is done, generators are torn down in reverse order. It raises what the
    handler, a dependency or a teardown raises, an earlier exception being the context of a later
    one; where nothing has to be awaited before the handler, already when it is called.

    Raises:
        KeyError: a type in ``plan.provided`` has no value.
    """
    places = Places((*plan.steps, plan.handler), values, of_app, threads)
    return _Writing(plan, places).function()


class _Writing:
    """The text of the function, as it grows. ``v3`` is the value at place 3, ``v0`` the event.

    Each thing that is called has a name of its own among ``names``; nothing of what a program
    calls itself gets into the text.
    """

    def __init__(self, plan: Plan, places: Places) -> None:
        self._plan = plan
        self._places = places
        self._depth = 1
        # Python nests no more than 20 blocks.
        self._on_a_stack = sum(step.is_generator for step in plan.steps) > _NESTED
        self._waits = self._on_a_stack
        self._lines: list[str] = []
        self._names: dict[str, Any] = {**_KNOWN, "threads": places.threads}
        for number, value in enumerate(places.known, 1):
            self._names[f"v{number}"] = value

    def function(self) -> Run:
        """Write it, and make it."""
        after_known = 1 + len(self._places.known)
        for place, read in enumerate(self._places.reads, after_known):
            self._line(f"v{place} = {self._named('read', read)}(v0)")
        if self._on_a_stack:
            self._open("async with AsyncExitStack() as stack")
        for number, step in enumerate(self._plan.steps):
            self._step(step, self._places.of_result(number))
        self._handler(self._plan.handler)
        head = "async def run(v0):" if self._waits else "def run(v0):"
        return self._made("\n".join([head, *self._lines, ""]))

    def _step(self, step: Call, place: int) -> None:
        if not step.is_generator:
            self._line(f"v{place} = {self._result(step)}")
            if not step.is_async:
                self._await(place)
            return
        is_async, opened = step.is_async or step.thread, self._opened(step)
        if self._on_a_stack:
            enter = "await stack.enter_async_context" if is_async else "stack.enter_context"
            self._line(f"v{place} = {enter}({opened})")
        else:
            self._waits |= is_async
            self._open(f"{'async ' if is_async else ''}with {opened} as v{place}")
        self._await(place)

    def _await(self, place: int) -> None:
        """Await what a step has given, where it was not known before that it is awaitable."""
        self._waits = True
        self._line(f"if hasattr(type(v{place}), '__await__'):")
        self._line(f"    v{place} = await v{place}")

    def _handler(self, handler: Call) -> None:
        if not handler.is_async:
            # A function that is not async may still return what an async one has given it.
            self._waits = True
            self._line(f"result = {self._result(handler)}")
            self._line("return await result if is_awaitable(result) else result")
        elif self._waits or self._depth > 1:
            self._line(f"return {self._result(handler)}")
        else:
            self._line(f"return {self._call(handler)}")

    def _result(self, call: Call) -> str:
        """What a call gives in the end."""
        if call.thread:
            self._waits = True
            return f"await in_thread(threads, copy_context(), lambda: {self._call(call)})"
        if call.is_async:
            self._waits = True
            return f"await {self._call(call)}"
        return self._call(call)

    def _opened(self, step: Call) -> str:
        made, name = self._call(step), repr(step.name)
        if step.is_async:
            return f"AsyncOpened({made}, {name})"
        return (
            f"ThreadOpened({made}, {name}, threads)" if step.thread else f"Opened({made}, {name})"
        )

    def _call(self, call: Call) -> str:
        arguments = [
            ("" if one.keyword is None else f"{one.keyword}=") + f"v{self._places.of(one)}"
            for one in call.arguments
        ]
        return f"{self._named('call', call.func)}({', '.join(arguments)})"

    def _named(self, kind: str, value: object) -> str:
        name = f"{kind}{len(self._names)}"
        self._names[name] = value
        return name

    def _open(self, head: str) -> None:
        self._line(f"{head}:")
        self._depth += 1

    def _line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    def _made(self, text: str) -> Run:
        file = f"<plan of {self._plan.handler.name}>"
        # Tracebacks show the lines.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), self._names)
        return cast("Run", self._names["run"])
