"""Two sides, measured side by side."""

import gc
from collections.abc import Awaitable, Callable
from statistics import median

Side = Callable[[], Awaitable[float]]
"""Does the work once; the seconds that it took."""


async def compare(sides: dict[str, Side], *, events: int, rounds: int) -> None:
    """Run two sides in alternation and print what they did, and the first against the second.

    Each round has both of them, in turn the one and the other first, so that a machine that gets
    slower or faster meanwhile does the same to both.
    """
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in names:
            gc.collect()
            rates[name].append(events / await sides[name]())
    for name, found in rates.items():
        _print(name, found)
    ours, theirs = rates.values()
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    first, second = sides
    print(
        f"{first} / {second}: {median(ratios):.2f} "
        f"(median of {rounds} rounds, {min(ratios):.2f} to {max(ratios):.2f})"
    )


def _print(name: str, rates: list[float]) -> None:
    each = " ".join(f"{rate:,.0f}" for rate in rates)
    print(f"{name:10} {median(rates):>10,.0f} events/s (best {max(rates):,.0f}; rounds: {each})")
