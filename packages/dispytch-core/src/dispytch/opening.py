"""Making, step by step, what something needs to run, until somebody calls it off."""

import asyncio
import logging
from types import TracebackType
from typing import Self

logger: logging.Logger = logging.getLogger("dispytch")


class Opening:
    """A block that ends early, as if it were done, once `call_off` has been called.

    What the block waits for is cancelled then; what it has made stays, for whoever closes it. A
    cancellation from elsewhere passes. An exception that follows from the cancellation is logged:
    whoever calls an opening off does not want to hear that it has failed.
    """

    def __init__(self) -> None:
        self.called_off: bool = False
        self._task: asyncio.Task[object] | None = None
        self._cancelled_before = 0
        self._interruptions = 0

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._cancelled_before = 0 if self._task is None else self._task.cancelling()
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        task, self._task = self._task, None
        if not self.called_off or task is None:
            return False
        for _ in range(self._interruptions):
            task.uncancel()
        if task.cancelling() > self._cancelled_before:
            return False
        if isinstance(error, Exception):
            logger.warning("the start was called off, and has failed of it", exc_info=error)
        return isinstance(error, asyncio.CancelledError | Exception)

    def call_off(self) -> None:
        """End the block; a second call also ends what has held out against the first."""
        self.called_off = True
        # Not here: the task may be the one that calls, and a cancellation would reach it later.
        asyncio.get_running_loop().call_soon(self._interrupt)

    def step(self) -> None:
        """Go on to the next step, unless the opening was called off.

        Raises:
            CancelledError: it was, and the last step has let nobody know.
        """
        if self.called_off:
            raise asyncio.CancelledError

    def _interrupt(self) -> None:
        if self._task is not None:
            self._interruptions += 1
            self._task.cancel()
