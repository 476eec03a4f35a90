"""How events are sent, on every side alike."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from ..workload import Measured, Stopwatch

BATCH = 1_000
"""How many events are sent at once, and how many warm the connection up."""
TASKS = 200
"""How many tasks send one by one."""

T = TypeVar("T")


def batches(made: Iterable[T]) -> Iterator[list[T]]:
    """The same, in batches."""
    rest = iter(made)
    while batch := list(islice(rest, BATCH)):
        yield batch


async def in_batches(
    send: Callable[[Sequence[T]], Awaitable[object]], made: Sequence[T]
) -> Measured:
    """Send batch after batch; ``send`` returns once the broker has confirmed all of it."""
    await send(made[:BATCH])
    stopwatch = Stopwatch()
    for batch in batches(made):
        await send(batch)
    return stopwatch.throughput(len(made))


async def from_tasks(send: Callable[[T], Awaitable[object]], made: Sequence[T]) -> Measured:
    """Send one by one, each task going on when the broker has confirmed its last one."""

    async def send_all(events: Sequence[T]) -> None:
        for event in events:
            await send(event)

    await asyncio.gather(*map(send, made[:TASKS]))
    stopwatch = Stopwatch()
    await asyncio.gather(*(send_all(made[number::TASKS]) for number in range(TASKS)))
    return stopwatch.throughput(len(made))
