"""What several rounds say together."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, between the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of one value or more."""
        return cls(median(values), min(values), max(values))

    def reaches(self, mark: float, *, most: bool) -> bool:
        """Whether the median is at least the mark, or with ``most`` at most the mark."""
        return self.median <= mark if most else self.median >= mark
