"""What lets a page run as it stands, without a broker: stand-ins for brokers, and an end."""

import asyncio
from collections.abc import Callable, Coroutine
from importlib.metadata import entry_points
from typing import Any, Self

from dispytch import EventListener
from dispytch.backends import GROUP
from dispytch.memory import MemoryBackend
from dispytch.memory.broker import MemoryBroker

PATIENCE = 20.0
"""Seconds in which a page's events have to be handled."""

_QUIET = 10
"""A listener may stop when no event was left to handle so many times in a row, 10 ms apart."""

Listen = Callable[[EventListener], Coroutine[Any, Any, None]]


class StandIn(MemoryBackend):
    """The in-memory backend in the place of the installed one that a URL asks for."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Refuses what the real one refuses, and reads the same ``__backend_config__``."""
        [entry] = entry_points(group=GROUP, name=url.partition("://")[0].lower())
        real = entry.load().from_url(url)
        backend = cls(f"instead of {entry.value}")
        backend.event_config = real.event_config
        return backend


def ending(listen: Listen) -> Listen:
    """`EventListener.listen`, which stops by itself once all that was emitted is handled."""

    async def listen_and_stop(listener: EventListener) -> None:
        stopping = asyncio.create_task(_stop_when_quiet(listener))
        listening = asyncio.create_task(listen(listener))
        try:
            await asyncio.wait({stopping, listening}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                stopping.result()
            await listening
        finally:
            stopping.cancel()
            listening.cancel()
            await asyncio.gather(stopping, listening, return_exceptions=True)

    return listen_and_stop


def unsettled(broker: MemoryBroker) -> list[str]:
    """The partitions that still have events to handle, with the group that is listening to them."""
    delayed = [f"{len(broker.delayed)} that are not due yet"] if len(broker.delayed) else []
    return delayed + [
        f"{stream.name} for group {name!r}"
        for name, group in broker._groups.items()
        for stream in group._streams.values()
        if group._members and stream.cursor.settled < stream.cursor._log.end
    ]


async def _stop_when_quiet(listener: EventListener) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    quiet = 0
    while quiet < _QUIET:
        await asyncio.sleep(0.01)
        left = [place for broker in MemoryBroker._named.values() for place in unsettled(broker)]
        joined = (await listener.health()).streams
        quiet = 0 if left or not joined else quiet + 1
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"not handled within {PATIENCE} s: {left or 'it has not started'}")
    await listener.stop()
