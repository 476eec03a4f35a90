"""Blocking calls in worker threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import Context
from typing import Any


async def in_thread(
    threads: Executor | None, context: Context, func: Callable[..., Any], *args: Any
) -> Any:
    """Call ``func`` in a worker thread, within ``context``, and wait for its end.

    ``threads`` are those to choose from; None means the event loop's own.

    A thread cannot be stopped. When cancelled before the thread has begun, ``func`` is never
    called; when cancelled later, the cancellation is raised after ``func`` has ended, so that
    nothing is torn down under it and nothing starts beside it. A second cancellation does not
    wait, and leaves the thread to itself.
    """
    call: Future[Any] = Future()
    asyncio.get_running_loop().run_in_executor(threads, _work, call, context, func, args)
    ended = asyncio.wrap_future(call)
    try:
        await asyncio.wait([ended])
    except asyncio.CancelledError:
        if not call.cancel():
            await asyncio.wait([ended])
        raise
    return ended.result()


def _work(
    call: "Future[Any]", context: Context, func: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    if not call.set_running_or_notify_cancel():
        return
    try:
        call.set_result(context.run(func, *args))
    except StopIteration as error:
        # No future takes it, as it would end the coroutine that awaits it.
        raised = RuntimeError("StopIteration left a function in a worker thread")
        raised.__cause__ = error
        call.set_exception(raised)
    except BaseException as error:
        call.set_exception(error)
