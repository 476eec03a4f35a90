"""The events that the kit emits, and the record of what became of them."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from dispytch import Event, EventBase

EVENT_TYPE = "counted"


class Counted(EventBase):
    """The ``number``-th event of its key."""

    __topic__ = "{topic}"
    __event_type__ = EVENT_TYPE
    __key__: ClassVar[str | None] = "{key}"

    topic: str
    key: str
    number: int


def counted(topic: str, *, keys: int, each: int, start: int = 0) -> list[Counted]:
    """So many events for each of so many keys, in turn."""
    return [
        Counted(topic=topic, key=f"key-{key}", number=number)
        for number in range(start, start + each)
        for key in range(keys)
    ]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a handler; ``at`` is when it began, by the event loop's clock."""

    key: str
    number: int
    attempt: int
    at: float


class Ledger:
    """What the handlers of a test did, with every duplicate.

    runs: every run, in the order in which they began.
    handled: key and number of every run that ended well, in the order in which they did.
    overlaps: the keys of which two events were handled at once.
    most_at_once: the largest number of handlers that ran at one time.
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.handled: list[tuple[str, int]] = []
        self.overlaps: list[str] = []
        self.most_at_once: int = 0
        self._running: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """How many handlers run at present."""
        return self._running.total()

    @contextmanager
    def run(self, event: Event[Counted]) -> Generator[None]:
        """Around what a handler does; an error counts as a run that did not end well."""
        key, number = event.body.key, event.body.number
        self.begin(key, number, event.attempt)
        self._running[key] += 1
        if self._running[key] > 1:
            self.overlaps.append(key)
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            yield
            self.handled.append((key, number))
        finally:
            self._running[key] -= 1

    def begin(self, key: str, number: int, attempt: int) -> None:
        """Note that a run has begun."""
        self.runs.append(Run(key, number, attempt, asyncio.get_running_loop().time()))

    def attempts(self, key: str, number: int) -> list[int]:
        """The numbers of the attempts that one event had, as they began."""
        return [run.attempt for run in self.runs if (run.key, run.number) == (key, number)]

    def assert_handled(self, events: Iterable[Counted], *, duplicates: int = 0) -> None:
        """Fail unless exactly these were handled, with at most so many repetitions in all."""
        assert_handled(self.handled, events, duplicates=duplicates)

    def assert_none_cut_off(self) -> None:
        """Fail unless every run that began has ended well."""
        cut_off = Counter((run.key, run.number) for run in self.runs) - Counter(self.handled)
        assert not cut_off, f"{cut_off.total()} handlers did not end, such as {list(cut_off)[:5]}"

    def assert_in_order(self) -> None:
        """Fail unless each key was handled one at a time and in order.

        A repetition of an earlier event, as after a fault, is a duplicate and no disorder.
        """
        assert not self.overlaps, f"two events of one key at once: {self.overlaps[:5]}"
        assert_in_order((run.key, run.number) for run in self.runs)


def assert_handled(
    handled: Collection[tuple[str, int]], events: Iterable[Counted], *, duplicates: int = 0
) -> None:
    """Fail unless exactly these were handled, with at most so many repetitions in all."""
    expected = {(event.key, event.number) for event in events}
    seen = set(handled)
    lost, strange = expected - seen, seen - expected
    assert not lost, f"{len(lost)} of {len(expected)} lost, such as {sorted(lost)[:5]}"
    assert not strange, f"handled and never emitted: {sorted(strange)[:5]}"
    surplus = len(handled) - len(seen)
    assert surplus <= duplicates, f"{surplus} came again, more than the budget of {duplicates}"


def assert_in_order(sightings: Iterable[tuple[str, int]]) -> None:
    """Fail unless the first sightings of each key's events ascend."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for key, number in dict.fromkeys(sightings):
        by_key[key].append(number)
    for key, numbers in by_key.items():
        assert numbers == sorted(numbers), f"out of order: {numbers} of {key!r}"
