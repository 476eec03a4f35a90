"""A context that is entered in the background, as soon as its broker can be reached."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Generic, Literal, Self, TypeVar, get_args

from dispytch.exceptions import BrokerUnreachable, ConfigurationError, NotRunning, reason_of

logger: logging.Logger = logging.getLogger("dispytch")

Connect = Literal["fail", "wait"]
"""What a start does while its broker cannot be reached: it fails, within the backend's connect
timeout, or it goes on without, and connects when it can."""

_AT_FIRST: Final = 1.0
"""Seconds that entering waits for a broker that is there."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0

T = TypeVar("T")


def checked_connect(what: str, connect: object) -> Connect:
    """How to connect, if it is one of the ways.

    Raises:
        ConfigurationError: it is not.
    """
    for known in get_args(Connect):
        if connect == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(f"{what}: connect must be 'fail' or 'wait', not {connect!r}")


class Connection(Generic[T]):
    """Enters a context in a task of its own, tries again while the broker is away, and leaves it.

    Entering this returns once that is done, or after a second without it. The pauses between two
    tries grow to 15 s, and the log has one line when it begins to wait and one when that is over.

    open: makes the context anew for each try.
    name: who waits, for the log; with None, nothing is logged.
    """

    def __init__(
        self, open: Callable[[], AbstractAsyncContextManager[T]], *, name: str | None = None
    ) -> None:
        self._open = open
        self._name = name
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._began = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self.reason: str | None = None
        """Why the last try failed; None after one that did not, and before the first has ended."""

    @property
    def value(self) -> T | None:
        """What the context gave; None while there is nothing yet.

        Raises:
            Exception: what has failed for good.
        """
        return self._opened.result() if self._opened.done() else None

    @property
    def has_failed(self) -> bool:
        """Whether it has failed for good, or was closed before it was opened."""
        return self._opened.done() and self._opened.exception() is not None

    @property
    def problem(self) -> str | None:
        """That it waits for the broker, since when and why; None once it does not."""
        if self._opened.done():
            return None
        waits = time.monotonic() - self._began
        reason = self.reason or "it has not answered yet"
        return f"the broker could not be reached so far, for {waits:.0f} s: {reason}"

    async def opened(self) -> T:
        """What the context gives, as soon as it does.

        Raises:
            Exception: what has failed for good.
        """
        return await asyncio.shield(self._opened)

    async def __aenter__(self) -> Self:
        """Begin to try.

        Raises:
            Exception: the first try has failed, and no other can do better.
        """
        self._task = asyncio.create_task(self._keep(), name="dispytch-connection")
        try:
            await asyncio.wait({self._opened}, timeout=_AT_FIRST)
            if self._opened.done():
                self._opened.result()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the context, or give up trying."""
        await self._end()

    async def _end(self) -> None:
        self._closing.set()
        task = self._task
        assert task is not None
        if not self._opened.done():
            self._opened.set_exception(NotRunning("it was closed while it waited for its broker"))
            self._opened.exception()
            task.cancel()
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _keep(self) -> None:
        for pause in _pauses():
            try:
                async with self._open() as value:
                    self._tell_the_end()
                    self._opened.set_result(value)
                    await self._closing.wait()
                return
            except BrokerUnreachable as error:
                if self._opened.done():
                    raise
                self._tell_the_beginning(error)
            except Exception as error:
                if self._opened.done():
                    raise
                self._opened.set_exception(error)
                self._opened.exception()
                return
            await asyncio.sleep(pause)

    def _tell_the_beginning(self, error: BrokerUnreachable) -> None:
        if self.reason is None and self._name is not None:
            logger.warning("%s waits for its broker: %s", self._name, reason_of(error))
        self.reason = reason_of(error)

    def _tell_the_end(self) -> None:
        if self.reason is not None and self._name is not None:
            waited = time.monotonic() - self._began
            logger.info("%s is connected, after %.1f s", self._name, waited)
        self.reason = None


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(_LONGEST_PAUSE, 2 * pause)
