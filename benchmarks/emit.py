"""Sending to a broker: `emit_many`, against the raw driver with as much under way at once."""

import asyncio
import time

from dispytch import EventEmitter

from .arguments import parsed
from .orders import batches, orders
from .raw import Raw, Send, borrowed, raw_for
from .rounds import compare


async def measured(send: Send, topic: str, events: int) -> float:
    """Seconds for all events, batch after batch; one before them warms the connection up."""
    await send(orders(topic, 100))
    made = list(batches(orders(topic, events)))
    began = time.perf_counter()
    for batch in made:
        await send(batch)
    return time.perf_counter() - began


async def with_dispytch(url: str, raw: Raw, events: int) -> float:
    """Seconds that an emitter takes."""
    async with borrowed(url, raw) as (topic, _), EventEmitter(url) as emitter:
        return await measured(emitter.emit_many, topic, events)


async def by_hand(url: str, raw: Raw, events: int) -> float:
    """Seconds that the raw driver takes."""
    async with borrowed(url, raw) as (topic, _), raw.sender(topic) as send:
        return await measured(send, topic, events)


async def main() -> None:
    """Compare."""
    given = parsed(__doc__, needs_url=True, events=20_000)
    raw = raw_for(given.url)
    await compare(
        {
            "dispytch": lambda: with_dispytch(given.url, raw, given.events),
            raw.name: lambda: by_hand(given.url, raw, given.events),
        },
        events=given.events,
        rounds=given.rounds,
    )


if __name__ == "__main__":
    asyncio.run(main())
