"""How far several processes are that work on one thing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Progress:
    """How many events one process had handled, at which moments."""

    moments: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, moment: float, count: int) -> None:
        """What a process says at this moment."""
        self.moments.append(moment)
        self.counts.append(count)

    @property
    def count(self) -> int:
        """How many it has handled by now."""
        return self.counts[-1] if self.counts else 0

    @property
    def begun(self) -> float:
        """When it had handled its first events."""
        return next(moment for moment, count in self._pairs() if count)

    @property
    def through(self) -> float:
        """When it had handled its last events."""
        return next(moment for moment, count in self._pairs() if count == self.count)

    def at(self, moment: float) -> float:
        """How many it had handled then, between two reports as if its pace were even."""
        before = (self.moments[0], 0)
        for after in self._pairs():
            if after[0] >= moment:
                span = after[0] - before[0]
                part = (moment - before[0]) / span if span else 1.0
                return before[1] + part * (after[1] - before[1])
            before = after
        return self.count

    def _pairs(self) -> Iterator[tuple[float, int]]:
        return zip(self.moments, self.counts, strict=True)


def rate(members: Sequence[Progress]) -> float:
    """Events per second while all members were busy; of all the time, if they never all were."""
    working = [member for member in members if member.count]
    since, until = max(each.begun for each in working), min(each.through for each in working)
    if until <= since:
        since = min(each.moments[0] for each in working)
        until = max(each.through for each in working)
    return sum(each.at(until) - each.at(since) for each in working) / (until - since)
