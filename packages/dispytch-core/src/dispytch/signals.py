"""Ending on SIGTERM and SIGINT."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping_on_signals(stop: Callable[[], None], cut_short: Callable[[], None]) -> Iterator[None]:
    """Within it, the first SIGTERM or SIGINT calls ``stop``, every further one ``cut_short``.

    Without effect outside the main thread, and where the event loop cannot watch signals.
    """
    calls = iter([stop])

    def received() -> None:
        next(calls, cut_short)()

    loop = asyncio.get_running_loop()
    watched = [one for one in _SIGNALS if _watch(loop, one, received)]
    try:
        yield
    finally:
        for one in watched:
            loop.remove_signal_handler(one)


def _watch(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, received: Callable[[], None]
) -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    try:
        loop.add_signal_handler(number, received)
    except (NotImplementedError, RuntimeError):
        return False
    return True
