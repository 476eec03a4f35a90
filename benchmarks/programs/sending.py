"""How events are sent, on every side alike."""

import asyncio
import gc
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from ..workload import Measured, Stopwatch

BATCH = 1_000
"""How many events are sent at once."""
WARM_UP = 0.1
"""The part of the events that comes first and is not counted, but a batch or one by each task."""
TASKS = 200
"""How many tasks send one by one."""

T = TypeVar("T")


def batches(made: Iterable[T]) -> Iterator[list[T]]:
    """The same, in batches."""
    rest = iter(made)
    while batch := list(islice(rest, BATCH)):
        yield batch


async def in_batches(
    send: Callable[[Sequence[T]], Awaitable[object]], made: Iterable[T]
) -> Measured:
    """Send batch after batch; ``send`` returns once the broker has confirmed all of it."""
    waiting, count = _apart(made), 0
    await send(_taken(waiting, _warming_up(waiting, BATCH)))
    stopwatch = Stopwatch()
    while batch := _taken(waiting, BATCH):
        await send(batch)
        count += len(batch)
    return stopwatch.throughput(count)


async def from_tasks(send: Callable[[T], Awaitable[object]], made: Iterable[T]) -> Measured:
    """Send one by one, each task going on when the broker has confirmed its last one."""
    waiting = _apart(made)

    async def send_all() -> None:
        while waiting:
            await send(waiting.popleft())

    await asyncio.gather(*map(send, _taken(waiting, _warming_up(waiting, TASKS))))
    stopwatch, count = Stopwatch(), len(waiting)
    await asyncio.gather(*(send_all() for _ in range(TASKS)))
    return stopwatch.throughput(count)


def _apart(made: Iterable[T]) -> deque[T]:
    """Events that are to be sent, made before and let go of once they are, as in a service.

    A service has not so many of them at once: what waits here is not for Python's collector to
    look through while others are sent.
    """
    waiting = deque(made)
    gc.collect()
    gc.freeze()
    return waiting


def _warming_up(waiting: deque[T], most: int) -> int:
    return min(most, max(1, int(len(waiting) * WARM_UP)))


def _taken(waiting: deque[T], count: int) -> list[T]:
    return [waiting.popleft() for _ in range(min(count, len(waiting)))]
