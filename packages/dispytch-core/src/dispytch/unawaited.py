"""Finding calls of ours that a handler makes, and never awaits: nothing comes of them."""

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from dispytch.exceptions import NotAwaited

logger: logging.Logger = logging.getLogger("dispytch")

P = ParamSpec("P")
R = TypeVar("R")


class Worker(Protocol):
    """Whoever runs events, one after the other; ``event`` is the one that runs."""

    event: Any
    task: asyncio.Task[None]


running: Final = ContextVar[Worker | None]("dispytch_running", default=None)
"""Who runs the code that looks, in its tasks and threads too."""

found: Final[list["tuple[Worker, object, str]"]] = []
"""Calls that were given up while their event runs: by whom, at which event, and of what."""


def tracked(call: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """An async method whose calls by a handler are noticed where they are never awaited."""

    @wraps(call)
    def calling(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        coroutine = call(*args, **kwargs)
        worker = running.get()
        return coroutine if worker is None else _Call(coroutine, worker, call.__qualname__)

    return _as_coroutine_function(calling)


def refuse_unawaited() -> None:
    """Refuse what the event that runs here has called and never awaited.

    Raises:
        NotAwaited: there is something.
    """
    calls = _taken()
    if calls:
        raise NotAwaited(
            f"{', '.join(sorted(calls))} was called and never awaited, so nothing was done: write "
            "'await' before the call, in a handler or dependency that is 'async def'"
        )


def report_unawaited(handler: str) -> None:
    """Log what the event that runs here has called and never awaited, as it has failed anyway."""
    for call in _taken():
        _report(call, handler)


class _Call(Coroutine[Any, Any, R]):
    """A coroutine that tells when it is given up before anything was done with it."""

    __slots__ = ("_coroutine", "_event", "_name", "_worker")

    def __init__(self, coroutine: Coroutine[Any, Any, R], worker: Worker, name: str) -> None:
        self._coroutine = coroutine
        self._worker: Worker | None = worker
        self._event: object = worker.event
        self._name = name

    def __await__(self) -> Generator[Any, Any, R]:
        self._worker = None
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        """See `collections.abc.Coroutine`."""
        self._worker = None
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """See `collections.abc.Coroutine`."""
        self._worker = None
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """See `collections.abc.Coroutine`."""
        self._worker = None
        self._coroutine.close()

    def __del__(self) -> None:
        worker = self._worker
        if worker is None:
            return
        self.close()
        _forget_the_past()
        if self._event is not None and worker.event is self._event and _is_run_by(worker):
            found.append((worker, self._event, self._name))
        else:
            _report(self._name)


def _is_run_by(worker: Worker) -> bool:
    """Whether this is its own task, or a thread: no task that was left by another event."""
    try:
        return asyncio.current_task() is worker.task
    except RuntimeError:
        return True


def _taken() -> set[str]:
    worker = running.get()
    mine = [one for one in found if one[0] is worker]
    for one in mine:
        found.remove(one)
    return {name for _, _, name in mine}


def _forget_the_past() -> None:
    """Report what came after its event had ended."""
    for one in [one for one in found if one[0].event is not one[1]]:
        found.remove(one)
        _report(one[2])


def _report(call: str, handler: str | None = None) -> None:
    who = "a task that a handler has made" if handler is None else f"handler {handler}"
    logger.error("%s called %s and never awaited it, so nothing was done", who, call)


def _as_coroutine_function(function: Callable[P, R]) -> Callable[P, R]:
    """Have the function count as ``async def``, as mocks ask."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    mark: Any = asyncio.coroutines
    function._is_coroutine = mark._is_coroutine  # type: ignore[attr-defined]
    return function
