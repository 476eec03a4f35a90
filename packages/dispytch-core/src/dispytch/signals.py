"""Ending on SIGTERM and SIGINT."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping_on_signals(stop: Callable[[], None], cut_short: Callable[[], None]) -> Generator[None]:
    """Within it, the first SIGTERM or SIGINT calls ``stop``, every further one ``cut_short``.

    Any number may be open at once, and a signal reaches all of them; when the last one is left,
    the signals' former handlers are back. Without effect outside the main thread, and where the
    event loop cannot watch signals. In a process that is forked meanwhile, the former handlers are
    back at once, and its signals are none of this one's.
    """
    calls = iter([stop])

    def received() -> None:
        next(calls, cut_short)()

    loop = asyncio.get_running_loop()
    watch = _watches.get(loop) or _watches.setdefault(loop, _Watch(loop))
    watch.listeners.append(received)
    try:
        yield
    finally:
        watch.listeners.remove(received)
        if not watch.listeners and _watches.pop(loop, None) is watch:
            watch.close()


class _Watch:
    """An event loop's watch on the signals, for all who listen: it has one handler for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.listeners: list[Callable[[], None]] = []
        self._loop = loop
        former = {one: signal.getsignal(one) for one in _SIGNALS}
        self._former = {one: former[one] for one in _SIGNALS if self._add(one)}

    def close(self) -> None:
        for number, handler in self._former.items():
            self._loop.remove_signal_handler(number)
            signal.signal(number, handler or signal.SIG_DFL)

    def forget(self) -> None:
        """In a forked process: put the former handlers back, and leave the event loop alone."""
        for number, handler in self._former.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def _add(self, number: signal.Signals) -> bool:
        # asyncio says so itself, with a RuntimeError; other event loops say it in other ways.
        if threading.current_thread() is not threading.main_thread():
            return False
        try:
            self._loop.add_signal_handler(number, self._received)
        except (NotImplementedError, RuntimeError):
            return False
        return True

    def _received(self) -> None:
        for listener in tuple(self.listeners):
            listener()


_watches: Final[dict[asyncio.AbstractEventLoop, _Watch]] = {}


def _forget_in_a_fork() -> None:
    """Part with the parent's event loop.

    A fork has the parent's handlers, and the end of the pipe by which signals wake the parent's
    event loop: what it receives would stop the parent, and not itself.
    """
    if not _watches:
        return
    signal.set_wakeup_fd(-1)
    for watch in _watches.values():
        watch.forget()
    _watches.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_a_fork)
