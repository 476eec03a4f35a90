"""Worker threads and cancellation: nothing is torn down under a thread that still runs."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest

from dispytch.dependencies import Dependency

Resolve = Callable[..., Awaitable[Any]]


class Gate:
    """A blocking call that says when it has begun, and ends when told."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._begun = asyncio.Event()
        self._open = threading.Event()

    def block(self) -> None:
        self.log.append("begun")
        self._loop.call_soon_threadsafe(self._begun.set)
        assert self._open.wait(10)
        self.log.append("ended")

    async def begun(self) -> None:
        async with asyncio.timeout(10):
            await self._begun.wait()

    def open(self) -> None:
        self._open.set()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_cancelled_run_waits_for_the_thread_of_its_handler(resolve: Resolve) -> None:
    gate = Gate()

    async def session() -> Any:
        try:
            yield
        finally:
            gate.log.append("torn down")

    def handler(_: Annotated[None, Dependency(session)]) -> None:
        gate.block()

    task = asyncio.ensure_future(resolve(handler))
    await gate.begun()
    task.cancel()
    await settle()
    assert gate.log == ["begun"]
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.log == ["begun", "ended", "torn down"]


async def test_a_second_cancellation_does_not_wait(resolve: Resolve) -> None:
    gate = Gate()
    task = asyncio.ensure_future(resolve(lambda: gate.block()))
    await gate.begun()
    for _ in range(2):
        task.cancel()
        await settle()
    assert task.cancelled()
    gate.open()


async def test_a_thread_that_has_not_begun_never_does(resolve: Resolve) -> None:
    gate = Gate()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    calls: list[int] = []
    first = asyncio.ensure_future(resolve(lambda: gate.block()))
    await gate.begun()
    second = asyncio.ensure_future(resolve(lambda: calls.append(1)))
    await settle()
    second.cancel()
    await settle()
    assert second.cancelled()
    gate.open()
    await first
    await resolve(lambda: None)
    assert calls == []


async def test_a_generator_that_opens_while_cancelled_is_torn_down(resolve: Resolve) -> None:
    gate = Gate()

    def session() -> Iterator[None]:
        gate.block()
        try:
            yield
        except asyncio.CancelledError:
            gate.log.append("torn down")
            raise

    async def handler(_: Annotated[None, Dependency(session, thread=True)]) -> None:
        gate.log.append("handler")

    task = asyncio.ensure_future(resolve(handler))
    await gate.begun()
    task.cancel()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.log == ["begun", "ended", "torn down"]


async def test_a_generator_left_to_its_thread_does_not_hide_the_cancellation(
    resolve: Resolve,
) -> None:
    gate = Gate()

    def session() -> Iterator[None]:
        gate.block()
        yield

    async def handler(_: Annotated[None, Dependency(session, thread=True)]) -> None: ...

    task = asyncio.ensure_future(resolve(handler))
    await gate.begun()
    for _ in range(2):
        task.cancel()
        await settle()
    assert task.cancelled()
    gate.open()


async def test_stop_iteration_in_a_thread_is_an_error_like_any_other(resolve: Resolve) -> None:
    def handler() -> Any:
        return next(iter(()))

    with pytest.raises(RuntimeError) as raised:
        await asyncio.wait_for(resolve(handler), 10)
    assert isinstance(raised.value.__cause__, StopIteration)
