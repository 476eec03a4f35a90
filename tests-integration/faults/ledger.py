"""The reckoning: what was emitted against what was handled. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from faults.journal import Entry


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a handler. ``end`` is None when nothing was heard of it after its beginning."""

    key: str
    number: int
    pid: int
    start: int
    end: int | None
    done: bool


class Ledger:
    """Per key: what was lost, out of order, handled again, or by two processes at once.

    emitted: the numbers of each key. entries: of the journal, in the order of writing.
    dead: the numbers of each key that were dead-lettered; they count as accounted for.
    """

    def __init__(
        self,
        emitted: Mapping[str, Collection[int]],
        entries: Sequence[Entry],
        dead: Mapping[str, Collection[int]] | None = None,
    ) -> None:
        self._emitted = emitted
        self._dead = dead or {}
        self.runs = _runs(entries)
        self._handled: dict[str, list[int]] = defaultdict(list)
        for entry in entries:
            if entry.mark == "done":
                self._handled[entry.key].append(entry.number)

    @property
    def handled(self) -> int:
        """How many different events were handled."""
        return sum(len(set(numbers)) for numbers in self._handled.values())

    @property
    def lost(self) -> dict[str, list[int]]:
        """Numbers that were emitted, and neither handled nor dead-lettered."""
        handled, dead = self._handled, self._dead
        return _kept_where_any(
            (key, sorted(set(numbers).difference(handled.get(key, ()), dead.get(key, ()))))
            for key, numbers in self._emitted.items()
        )

    @property
    def strangers(self) -> dict[str, list[int]]:
        """Numbers that were handled and never emitted."""
        return _kept_where_any(
            (key, sorted(set(numbers) - set(self._emitted.get(key, ()))))
            for key, numbers in self._handled.items()
        )

    @property
    def disorder(self) -> dict[str, list[int]]:
        """Numbers that were first handled after a larger one of their key.

        A number that comes again is a duplicate and no disorder.
        """
        return _kept_where_any((key, _late(numbers)) for key, numbers in self._handled.items())

    @property
    def duplicates(self) -> int:
        """How often an event was handled that had been handled before."""
        return sum(len(numbers) - len(set(numbers)) for numbers in self._handled.values())

    @property
    def interrupted(self) -> int:
        """How many runs began and were never heard of again."""
        return sum(run.end is None for run in self.runs)

    @property
    def cut(self) -> int:
        """How many runs were cancelled or have raised."""
        return sum(run.end is not None and not run.done for run in self.runs)

    @property
    def overlaps(self) -> list[tuple[Run, Run]]:
        """Pairs of runs of one key of which the second began before the first had ended.

        Runs of which no end is known are left out: only their process could tell.
        """
        by_key: dict[str, list[Run]] = defaultdict(list)
        for run in self.runs:
            if run.end is not None:
                by_key[run.key].append(run)
        return [pair for runs in by_key.values() for pair in _overlapping(runs)]

    @property
    def most_at_once(self) -> int:
        """How many handlers ran at once, in all processes."""
        changes = [(run.start, 1) for run in self.runs if run.end is not None]
        changes += [(run.end, -1) for run in self.runs if run.end is not None]
        running = most = 0
        for _, change in sorted(changes):
            running += change
            most = max(most, running)
        return most


def _runs(entries: Sequence[Entry]) -> list[Run]:
    """Put beginnings and ends together; a process runs one event once at a time."""
    begun: dict[tuple[int, str, int, str, int], int] = {}
    runs: list[Run] = []
    for entry in entries:
        which = (entry.pid, entry.key, entry.number, entry.stream, entry.position)
        if entry.mark == "begun":
            if which in begun:
                runs.append(Run(entry.key, entry.number, entry.pid, begun[which], None, False))
            begun[which] = entry.at
        elif which in begun:
            done = entry.mark == "done"
            start = begun.pop(which)
            runs.append(Run(entry.key, entry.number, entry.pid, start, entry.at, done))
    for (pid, key, number, _, _), start in begun.items():
        runs.append(Run(key, number, pid, start, None, False))
    return runs


def _late(numbers: Iterable[int]) -> list[int]:
    first_seen = list(dict.fromkeys(numbers))
    late, largest = [], -1
    for number in first_seen:
        if number < largest:
            late.append(number)
        largest = max(largest, number)
    return late


def _overlapping(runs: Iterable[Run]) -> list[tuple[Run, Run]]:
    found: list[tuple[Run, Run]] = []
    ordered = sorted(runs, key=lambda run: run.start)
    for index, (first, _) in enumerate(pairwise(ordered)):
        for second in ordered[index + 1 :]:
            if first.end is not None and second.start >= first.end:
                break
            found.append((first, second))
    return found


def _kept_where_any(pairs: Iterable[tuple[str, list[int]]]) -> dict[str, list[int]]:
    return {key: numbers for key, numbers in pairs if numbers}
