"""What an event costs when there is more of everything."""

from collections.abc import Sequence

from ..case import Case, Goal, Side, ratio
from ..stages import filled, nothing


def growth(of: str, title: str, counts: Sequence[int], *, short: int = 20_000) -> Case:
    """The case for one thing that there may be more of: an option of `growth:cost`."""
    names = [f"{count:,}" for count in counts]
    return Case(
        f"growth-{of}",
        title,
        nothing(),
        tuple(
            Side(name, "growth:cost", {of: count})
            for name, count in zip(names, counts, strict=True)
        ),
        tuple(
            Goal(
                f"cost with {name} of that with {names[0]}",
                ratio(name, names[0], of="us"),
                1.2,
                1,
                most=True,
            )
            for name in names[1:]
        ),
        short=short,
        value="us",
    )


HANDLERS = growth("handlers", "Growth: 1 to 1,000 handlers, each on its topic", (1, 10, 100, 1000))
LANES = growth("lanes", "Growth: 1 to 1,024 lanes", (1, 32, 1024))
KEYS = growth("keys", "Growth: 1 to 100,000 keys", (1, 1_000, 100_000), short=100_000)

MEMORY = Case(
    "memory",
    "Peak memory: 1,000,000 events of Kafka against 100,000",
    filled("kafka", "partitions=4"),
    (
        Side("100,000 events", "peak:consume", share=0.1),
        Side("1,000,000 events", "peak:consume"),
    ),
    (
        Goal(
            "of that after a tenth",
            ratio("1,000,000 events", "100,000 events", of="peak"),
            1.1,
            1,
            most=True,
        ),
    ),
    events=1_000_000,
    short=100_000,
    rounds=3,
    value="peak",
)

CASES = (HANDLERS, LANES, KEYS, MEMORY)
