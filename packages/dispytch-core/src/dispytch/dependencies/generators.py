"""A generator's two halves: up to its yield, and from there to its end.

A generator sees what the run raised, at its yield. It may raise something else in its place;
when it ends instead, as if nothing had happened, the run's own exception goes on: a failure is
never lost.
"""

from asyncio import CancelledError
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Executor
from contextvars import copy_context
from types import GeneratorType, TracebackType
from typing import Any

from dispytch.dependencies.threads import in_thread
from dispytch.exceptions import DependencyError


class Opened:
    """A context in which a generator stands at its yield."""

    __slots__ = ("_generator", "_name")

    def __init__(self, generator: Generator[Any, None, None], name: str) -> None:
        self._generator = generator
        self._name = name

    def __enter__(self) -> Any:
        try:
            return next(self._generator)
        except StopIteration:
            raise _no_yield(self._name) from None

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                next(self._generator)
            else:
                self._generator.throw(error)
        except StopIteration:
            return
        except BaseException as raised:
            if error is None or not _is_passed_on(error, raised):
                raise
            error.__traceback__ = traceback
            return
        try:
            raise _second_yield(self._name)
        finally:
            self._generator.close()


class AsyncOpened:
    """A context in which an async generator stands at its yield."""

    __slots__ = ("_generator", "_name")

    def __init__(self, generator: AsyncGenerator[Any, None], name: str) -> None:
        self._generator = generator
        self._name = name

    async def __aenter__(self) -> Any:
        try:
            return await anext(self._generator)
        except StopAsyncIteration:
            raise _no_yield(self._name) from None

    async def __aexit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await anext(self._generator)
            else:
                await self._generator.athrow(error)
        except StopAsyncIteration:
            return
        except BaseException as raised:
            if error is None or not _is_passed_on(error, raised):
                raise
            error.__traceback__ = traceback
            return
        try:
            raise _second_yield(self._name)
        finally:
            await self._generator.aclose()


class ThreadOpened:
    """A context in which a generator stands at its yield, both halves run in worker threads."""

    __slots__ = ("_context", "_generator", "_opened", "_threads")

    def __init__(
        self,
        generator: "GeneratorType[Any, None, None]",
        name: str,
        threads: Executor | None,
    ) -> None:
        self._threads = threads
        self._generator = generator
        self._opened = Opened(generator, name)
        # One context for both halves, so that the second can reset what the first has set.
        self._context = copy_context()

    async def __aenter__(self) -> Any:
        try:
            return await in_thread(self._threads, self._context, self._opened.__enter__)
        except CancelledError as error:
            # The generator may stand at its yield already; while its thread runs, it cannot be had.
            if not self._generator.gi_running:
                await self.__aexit__(CancelledError, error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await in_thread(self._threads, self._context, self._opened.__exit__, kind, error, traceback)


def _is_passed_on(error: BaseException, raised: BaseException) -> bool:
    """Whether a generator has let the run's exception pass.

    Python wraps a Stop(Async)Iteration that leaves a generator.
    """
    wrapped = isinstance(error, (StopIteration, StopAsyncIteration)) and raised.__cause__ is error
    return raised is error or wrapped


def _no_yield(name: str) -> DependencyError:
    return DependencyError(
        f"dependency `{name}` ended without a yield; it must yield exactly once, on every path"
    )


def _second_yield(name: str) -> DependencyError:
    return DependencyError(
        f"dependency `{name}` yielded a second time; it must yield exactly once: what follows "
        "the yield is the teardown"
    )
