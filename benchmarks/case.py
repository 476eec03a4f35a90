"""A row of the table: what is compared, on what, and what it must reach."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from .brokers import Brokers
from .environments import HERE, Apart, Here
from .job import Job

Round = Mapping[str, Mapping[str, float]]
"""What each side of a case has measured in one round, by the side's name and the value's."""
Figure = Callable[[Round], float | None]
"""A figure of one round; None when a side that it needs is missing."""


@dataclass(frozen=True)
class Side:
    """One of the programs that are compared.

    share: of the case's events; less than 1 for what is so slow that all of them would take
    minutes. note: what a reader must know of it.
    """

    name: str
    program: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Here | Apart = HERE
    share: float = 1.0
    loop: str = "asyncio"
    note: str = ""

    def events(self, of: int) -> int:
        """How many events it takes when the case has so many."""
        return max(1, int(of * self.share))


@dataclass(frozen=True)
class Goal:
    """A figure, and what it must reach.

    floor: what it must reach. aim: what we would like. Without both it is shown and not judged.
    most: whether floor and aim are the most that it may be, not the least.
    """

    name: str
    figure: Figure
    floor: float | None = None
    aim: float | None = None
    most: bool = False
    unit: str = "×"


@dataclass(frozen=True)
class Setting:
    """What a stage is made of."""

    brokers: Brokers
    case: "Case"
    events: int


Jobs = Callable[[Sequence[Side]], Awaitable[dict[str, Job]]]
"""Makes ready for one round: a job for each side, by its name."""
Stage = Callable[[Setting], AbstractAsyncContextManager[Jobs]]


@dataclass(frozen=True)
class Case:
    """A row, or a few that are measured together.

    name: for the command line. title: for the table. value: which of the measured values the plot
    shows. events: how many in the full form. short: how many in the short one. rounds: at most so
    many, where a round takes long.
    """

    name: str
    title: str
    stage: Stage
    sides: tuple[Side, ...]
    goals: tuple[Goal, ...]
    events: int = 100_000
    short: int = 20_000
    rounds: int | None = None
    value: str = "rate"


def ratio(ours: str, *theirs: str, of: str = "rate") -> Figure:
    """What we do of what they do; of several, of what the best of those present does."""

    def figure(found: Round) -> float | None:
        present = [found[name][of] for name in theirs if name in found]
        return found[ours][of] / max(present) if present and ours in found else None

    return figure


def thrift(ours: str, *theirs: str) -> Figure:
    """Their processor time per event over ours, so that more is better, as in `ratio`.

    Of several, of what the cheapest of those present takes. It hardly depends on what else the
    machine does, where events per second do.
    """

    def figure(found: Round) -> float | None:
        present = [found[name]["cpu"] for name in theirs if name in found]
        return min(present) / found[ours]["cpu"] if present and ours in found else None

    return figure


def value(ours: str, of: str, *, over: float = 1.0) -> Figure:
    """A value by itself, or as a part of what would be ideal."""
    return lambda found: found[ours][of] / over if ours in found else None


def difference(ours: str, theirs: str, of: str) -> Figure:
    """How much more we have than they."""

    def figure(found: Round) -> float | None:
        both = ours in found and theirs in found
        return found[ours][of] - found[theirs][of] if both else None

    return figure
