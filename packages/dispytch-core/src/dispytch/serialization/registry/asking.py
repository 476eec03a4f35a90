"""Asking a registry once for what many want to know."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

from dispytch.exceptions import RegistryUnavailable

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


class Asking:
    """Questions under way; one that many have at once is asked once.

    With ``patient``, nothing is asked for a while after the registry could not be: 0.5 s, then
    twice as long each time, up to 30 s. Whoever asks meanwhile is told how long that still is.
    """

    def __init__(self, *, patient: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._patient = patient
        self._clock = clock
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._pause = 0.0
        self._until = 0.0
        self._last: RegistryUnavailable | None = None

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[None]]) -> None:
        """Wait for the answer to a question, which ``question`` asks and keeps.

        Raises:
            RegistryUnavailable: see the class.
        """
        if self._last is not None and (left := self._until - self._clock()) > 0:
            raise RegistryUnavailable(str(self._last), left) from self._last.__cause__
        running = self._running.get(key)
        if running is None or running.get_loop() is not asyncio.get_running_loop():
            running = asyncio.create_task(self._asked(question), name="dispytch-schema")
            self._running[key] = running
            running.add_done_callback(lambda task: self._answered(key, task))
        # Who is cancelled does not take the answer away from the others.
        await asyncio.shield(running)

    async def _asked(self, question: Callable[[], Awaitable[None]]) -> None:
        try:
            await question()
        except RegistryUnavailable as error:
            if self._patient:
                self._pause = min(_LONGEST_PAUSE, self._pause * 2 or _FIRST_PAUSE)
                self._until, self._last = self._clock() + self._pause, error
                error.seconds = self._pause
            raise
        self._pause, self._last = 0.0, None

    def _answered(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()
