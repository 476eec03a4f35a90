"""What is app-scoped: made when the listener starts, torn down when it stops."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any

from dispytch.awaitables import awaited
from dispytch.dependencies.generators import Opened
from dispytch.dependencies.places import Places, Values, invocation, making, opening
from dispytch.dependencies.plan import Call, Step
from dispytch.exceptions import DependencyError
from dispytch.failing import failure_of
from dispytch.printable import described

logger: logging.Logger = logging.getLogger("dispytch")

_Exit = Callable[
    [type[BaseException] | None, BaseException | None, TracebackType | None],
    Coroutine[Any, Any, None],
]


@asynccontextmanager
async def app_scope(
    steps: Sequence[Step], values: Mapping[type, object], threads: Executor | None = None
) -> AsyncGenerator[Sequence[object], None]:
    """What each step makes, one after the other; generators are torn down in reverse at the end.

    A generator sees no exception at its yield, whatever has ended the scope: what it holds serves
    all events, and is to be closed. The first exception of a teardown is raised in the end, unless
    another one has ended the scope; others are logged.

    Raises:
        DependencyError: a step failed; what had been made is torn down.
    """
    places = Places([step.call for step in steps], values, (), threads)
    made: Values = [None, *places.known]
    async with AsyncExitStack() as stack:
        for step in steps:
            try:
                made.append(await _made(step.call, places, made, stack))
            except BaseException as error:
                raise DependencyError(
                    f"{step.path}: what is app-scoped could not be made: "
                    f"{described(failure_of(error))}"
                ) from error
        yield made[1 + len(places.known) :]


async def _made(step: Call, places: Places, values: Values, stack: AsyncExitStack) -> object:
    if not step.is_generator:
        result = making(step, places)(values)
        return await awaited(await result if step.is_async or step.thread else result)
    if step.is_async or step.thread:
        opened = opening(step, places)(values)
        result = await opened.__aenter__()
        stack.push_async_exit(_closing(opened.__aexit__, step.name))
    else:
        standing = Opened(invocation(step, places)(values), step.name)
        result = standing.__enter__()
        stack.push_async_exit(_closing(standing.__exit__, step.name))
    return await awaited(result)


def _closing(leave: Callable[..., Awaitable[None] | None], name: str) -> _Exit:
    """Tear a generator down as after a success."""

    async def close(
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            left = leave(None, None, None)
            if left is not None:
                await left
        except BaseException as failed:
            failure = failure_of(failed)
            if error is None:
                raise failure from failure.__cause__
            logger.exception("the teardown of app-scoped `%s` failed", name)

    return close
