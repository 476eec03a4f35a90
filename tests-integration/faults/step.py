"""The event of the fault tests, and the known set of them that is emitted."""

import random
from collections.abc import Iterable, Sequence
from typing import Literal

from dispytch import EventBase

Conduct = Literal["good", "fails", "stuck"]
"""What the handler is to do: its work, to raise, or never to come to an end."""


class Step(EventBase):
    """The n-th event of its key, counted from 0."""

    __topic__ = "{topic}"
    __event_type__ = "step"
    __key__ = "{key}"

    topic: str
    key: str
    number: int
    conduct: Conduct = "good"
    padding: str = ""


def rounds(
    topic: str, *, events: int, keys: int, seed: int = 7, padding: str = ""
) -> list[list[Step]]:
    """Batches with one event of every key in each, the keys shuffled anew every time.

    As no batch has two of one key, what failed of a batch may be emitted again in any order.
    """
    draw, names = random.Random(seed), [f"key-{number}" for number in range(keys)]
    made: list[list[Step]] = []
    for number in range(-(-events // keys)):
        draw.shuffle(names)
        made.append([Step(topic=topic, key=name, number=number, padding=padding) for name in names])
    return made


def numbers_of(steps: Iterable[Step]) -> dict[str, Sequence[int]]:
    """The numbers of each key."""
    numbers: dict[str, list[int]] = {}
    for step in steps:
        numbers.setdefault(step.key, []).append(step.number)
    return dict(numbers)
