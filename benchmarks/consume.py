"""Consuming from a broker: a listener, against a loop written by hand on the raw driver."""

import asyncio

from .arguments import parsed
from .listening import listened
from .orders import fill
from .raw import Raw, borrowed, raw_for
from .rounds import compare


async def with_dispytch(url: str, raw: Raw, events: int) -> float:
    """Seconds that a listener takes."""
    async with borrowed(url, raw) as (topic, group):
        await fill(url, topic, events)
        return await listened(url, topic, group, events)


async def by_hand(url: str, raw: Raw, events: int) -> float:
    """Seconds that the loop takes, for the same messages."""
    async with borrowed(url, raw) as (topic, group):
        await fill(url, topic, events)
        return await raw.consume(topic, group, events)


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
