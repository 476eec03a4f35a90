"""What the engine costs: a listener in memory, against a bare loop that validates and awaits."""

import asyncio

from pydantic import TypeAdapter

from .arguments import parsed
from .listening import listened
from .orders import Order, fill, new_name, orders
from .rounds import compare
from .stopwatch import Stopwatch


async def looped(events: int) -> float:
    """Seconds that a loop takes which knows neither broker, keys, retries nor settlement."""
    adapter = TypeAdapter(Order)
    values = [adapter.dump_json(order) for order in orders("nowhere", events)]
    stopwatch = Stopwatch(events)
    for value in values:
        await stopwatch.handle(adapter.validate_json(value))
    return await stopwatch.seconds()


async def through_engine(events: int) -> float:
    """Seconds that a listener takes."""
    url, topic = f"memory://{new_name()}?retention={events}", new_name()
    await fill(url, topic, events)
    return await listened(url, topic, "benchmark", events)


async def main() -> None:
    """Compare."""
    given = parsed(__doc__, needs_url=False, events=50_000)
    await compare(
        {
            "dispytch": lambda: through_engine(given.events),
            "bare loop": lambda: looped(given.events),
        },
        events=given.events,
        rounds=given.rounds,
    )


if __name__ == "__main__":
    asyncio.run(main())
