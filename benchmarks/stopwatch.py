"""A handler that measures."""

import asyncio
import time

from pydantic import BaseModel


class Stopwatch:
    """Handles so many events, and measures from the first to the last of them.

    Connecting, joining a group and the first fetch are not measured: they come once, however many
    events follow.
    """

    def __init__(self, events: int) -> None:
        self._left = events
        self._began = 0.0
        self._done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def handle(self, order: BaseModel) -> None:
        """Handle one event."""
        if not self._began:
            self._began = time.perf_counter()
        self._left -= 1
        if not self._left:
            self._done.set_result(time.perf_counter() - self._began)

    @property
    def running(self) -> bool:
        """Whether there are events to come."""
        return self._left > 0

    async def seconds(self) -> float:
        """What it took, once all events have been handled."""
        return await self._done
