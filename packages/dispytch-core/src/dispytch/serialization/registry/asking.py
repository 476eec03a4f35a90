"""Asking a registry once for what many want to know."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

from dispytch.exceptions import DecodeError, RegistryUnavailable
from dispytch.serialization.registry.kept import Kept

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0

_REFUSED_SECONDS: Final = 30.0
"""For how long it is remembered that a registry cannot answer a question."""

_REMEMBERED: Final = 10_000
_AT_ONCE: Final = 64
"""How many questions are under way; others wait for their turn."""

_PATIENCE: Final = 1.0
"""For how long a question is waited for; it goes on after that, and who asked comes again."""

_FAILURES_AT_ONCE: Final = 100
_FAILURES_PER_SECOND: Final = 50.0
"""How many questions may fail, be it that each of them is another one."""


class Asking:
    """Questions under way; one that many have at once is asked once."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._turns: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[None]]) -> None:
        """Wait for the answer to a question, which ``question`` asks and keeps.

        Raises:
            RegistryUnavailable: the registry does not answer.
        """
        running = self._running.get(key)
        if running is None or running.get_loop() is not asyncio.get_running_loop():
            running = asyncio.create_task(self._asked(key, question), name="dispytch-schema")
            self._running[key] = running
            running.add_done_callback(lambda task: self._answered(key, task))
        # Who is cancelled does not take the answer away from the others.
        await asyncio.shield(running)

    async def _asked(self, key: Hashable, question: Callable[[], Awaitable[None]]) -> None:
        async with self._turn():
            await question()

    def _turn(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if self._turns is None or self._loop is not loop:
            self._turns, self._loop = asyncio.Semaphore(_AT_ONCE), loop
        return self._turns

    def _answered(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()


class PatientAsking(Asking):
    """Questions that are not asked again at once after they have failed.

    One that the registry could not be asked waits 0.5 s, then twice as long each time, up to 30 s;
    whoever asks meanwhile is told how long that still is. One that it cannot answer is not asked
    again for 30 s. Nobody waits for a slow answer: it is taken when it comes. Other questions go
    on; only when very many have failed within a second, each of them another one, does a new one
    wait for a moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._pauses: Kept[_Pause] = Kept(_REMEMBERED)
        self._refusals: Kept[str] = Kept(_REMEMBERED, seconds=_REFUSED_SECONDS, clock=clock)
        self._room = float(_FAILURES_AT_ONCE)
        self._room_at = clock()
        self._began: dict[Hashable, float] = {}

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[None]]) -> None:
        """See `Asking.ask`.

        Raises:
            DecodeError: the registry cannot answer it; it may have been asked a while ago.
            RegistryUnavailable: the registry does not answer, or is not to be asked yet.
        """
        refusal = self._refusals.get(key)
        if refusal is not None:
            raise DecodeError(refusal)
        pause = self._pauses.get(key)
        if pause is not None and (left := pause.until - self._clock()) > 0:
            raise RegistryUnavailable(pause.text, left)
        now = self._clock()
        if key not in self._running:
            self._take_room(now)
            self._began[key] = now
        try:
            async with asyncio.timeout(self._began[key] + _PATIENCE - now):
                await super().ask(key, question)
        except TimeoutError:
            raise RegistryUnavailable(
                "the schema registry has not answered yet", _FIRST_PAUSE
            ) from None

    async def _asked(self, key: Hashable, question: Callable[[], Awaitable[None]]) -> None:
        try:
            await super()._asked(key, question)
        except DecodeError as error:
            self._pauses.drop(key)
            self._refusals.keep(key, str(error))
            raise
        except RegistryUnavailable as error:
            before = self._pauses.get(key)
            seconds = min(_LONGEST_PAUSE, before.seconds * 2 if before else _FIRST_PAUSE)
            self._pauses.keep(key, _Pause(str(error), seconds, self._clock() + seconds))
            error.seconds = seconds
            raise
        self._pauses.drop(key)
        self._room += 1

    def _answered(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        super()._answered(key, task)
        if key not in self._running:
            self._began.pop(key, None)

    def _take_room(self, now: float) -> None:
        """Have room for one more failure; what does not fail gives it back."""
        gained = (now - self._room_at) * _FAILURES_PER_SECOND
        self._room, self._room_at = min(float(_FAILURES_AT_ONCE), self._room + gained), now
        if self._room < 1:
            raise RegistryUnavailable(
                f"the schema registry is asked for no more than {_FAILURES_PER_SECOND:g} schemas a "
                "second, as long as it does not have them",
                _FIRST_PAUSE,
            )
        self._room -= 1


@dataclass(frozen=True, slots=True)
class _Pause:
    """Why a question is not asked now, for how long, and until when."""

    text: str
    seconds: float
    until: float
