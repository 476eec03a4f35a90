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

_REFUSALS_AT_ONCE: Final = 100
_REFUSALS_PER_SECOND: Final = 50.0
"""To how many questions, each another one, a registry may say that it has no such schema."""


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
    on. Only when the registry has lately had no answer to very many of them, each another one, is
    a new one refused without having been asked.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._pauses: Kept[_Pause] = Kept(_REMEMBERED)
        self._refusals: Kept[str] = Kept(_REMEMBERED, seconds=_REFUSED_SECONDS, clock=clock)
        self._room = _Room(clock)
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
        now = self._clock()
        pause = self._pauses.get(key)
        if pause is not None and pause.until > now:
            raise RegistryUnavailable(pause.text, pause.until - now)
        if key not in self._running:
            self._began[key] = now
        try:
            async with asyncio.timeout(self._began[key] + _PATIENCE - now):
                await super().ask(key, question)
        except TimeoutError:
            raise RegistryUnavailable(
                "the schema registry has not answered yet", _FIRST_PAUSE
            ) from None

    async def _asked(self, key: Hashable, question: Callable[[], Awaitable[None]]) -> None:
        async def if_there_is_room() -> None:
            self._room.check()
            await question()

        try:
            await super()._asked(key, if_there_is_room)
        except _NotAsked:
            raise
        except DecodeError as error:
            self._pauses.drop(key)
            self._refusals.keep(key, str(error))
            self._room.take()
            raise
        except RegistryUnavailable as error:
            before = self._pauses.get(key)
            seconds = min(_LONGEST_PAUSE, before.seconds * 2 if before else _FIRST_PAUSE)
            self._pauses.keep(key, _Pause(str(error), seconds, self._clock() + seconds))
            error.seconds = seconds
            raise
        self._pauses.drop(key)

    def _answered(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        super()._answered(key, task)
        if key not in self._running:
            self._began.pop(key, None)


class _NotAsked(DecodeError):
    """A question that the registry was spared."""


class _Room:
    """How many more refusals there may be."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(_REFUSALS_AT_ONCE)
        self._at = clock()

    def check(self) -> None:
        """Go on if there is room for one.

        Raises:
            _NotAsked: there is none.
        """
        now = self._clock()
        gained = (now - self._at) * _REFUSALS_PER_SECOND
        self._left, self._at = min(float(_REFUSALS_AT_ONCE), self._left + gained), now
        if self._left < 1:
            raise _NotAsked(
                "the schema registry was not asked for the schema of this body: it has lately had "
                f"none of very many others, and is asked for no more than {_REFUSALS_PER_SECOND:g} "
                "such a second; replay the event when that is over"
            )

    def take(self) -> None:
        """There was one."""
        self._left -= 1


@dataclass(frozen=True, slots=True)
class _Pause:
    """Why a question is not asked now, for how long, and until when."""

    text: str
    seconds: float
    until: float
