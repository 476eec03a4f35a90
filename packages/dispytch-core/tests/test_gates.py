"""Runs wait at gates in the order in which they came, and keep none closed that they do not use."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispytch.clock import Clock
from dispytch.gates import Gate, Rank, Waiting, begin, end


class Door(Gate):
    """Open for so many at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.inside = 0

    def is_open(self, now: float) -> bool:
        return self.inside < self.room

    def take(self, now: float) -> None:
        assert self.inside < self.room
        self.inside += 1

    def put_back(self, now: float) -> None:
        assert self.inside > 0
        self.inside -= 1


def now() -> float:
    return 0.0


@dataclass(eq=False)
class Runs:
    """Plays the engine: begins runs, and has those that are called begin again."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    inside: dict[str, list[Door]] = field(default_factory=dict)

    def begin(self, name: str, *doors: Door) -> bool:
        waiting = self.waiting.get(name)
        if begin(doors, waiting, 0.0):
            self.inside[name] = list(doors)
            return True
        if waiting is None:
            waiting = self.waiting[name] = Waiting(Clock.of_loop())
        waiting.wait("limit", doors, now)
        return False

    def end(self, name: str) -> None:
        end(self.inside.pop(name), 0.0)
        if name in self.waiting:
            self.waiting.pop(name).leave()

    @property
    def called(self) -> list[str]:
        return [
            name for name, one in self.waiting.items() if one.freed is not None and one.freed.done()
        ]


async def test_who_came_first_is_called_first() -> None:
    door, runs = Door(1), Runs()
    assert [runs.begin(name, door) for name in "abc"] == [True, False, False]
    runs.end("a")
    assert runs.called == ["b"]
    assert not runs.begin("d", door), "it is kept"
    assert runs.begin("b", door)
    runs.end("b")
    assert runs.called == ["c"]


async def test_who_has_waited_elsewhere_stands_before_all_that_came_after_it() -> None:
    door, runs = Door(1), Runs()
    runs.begin("a", door)
    runs.begin("b", door)
    runs.waiting["old"] = Waiting(Clock.of_loop(), Rank(since=1000, number=0))
    runs.begin("old", door)
    runs.end("a")
    assert runs.called == ["old"]


async def test_who_waits_at_two_is_called_when_both_are_open() -> None:
    one, other, runs = Door(1), Door(1), Runs()
    runs.begin("a", one)
    runs.begin("b", other)
    assert not runs.begin("both", one, other)
    runs.end("a")
    assert runs.called == []
    assert runs.begin("c", one), "nothing is kept for one that cannot begin yet"
    runs.end("b")
    assert runs.called == []
    runs.end("c")
    assert runs.called == ["both"]
    assert (one.inside, other.inside) == (1, 1)


async def test_who_leaves_after_it_was_called_leaves_to_the_next() -> None:
    door, runs = Door(1), Runs()
    for name in "abc":
        runs.begin(name, door)
    runs.end("a")
    runs.waiting["b"].leave()
    assert runs.called == ["b", "c"]
    assert runs.begin("c", door)
    runs.end("c")
    assert door.is_deserted
    assert door.inside == 0


async def test_a_future_of_a_loop_that_has_ended_holds_up_nobody() -> None:
    door, runs = Door(1), Runs()
    runs.begin("a", door)

    async def wait() -> None:
        runs.begin("gone", door)

    def elsewhere() -> None:
        asyncio.run(wait())

    await asyncio.to_thread(elsewhere)
    runs.begin("b", door)
    runs.end("a")
    assert runs.called == ["b"]


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.sets(st.integers(0, 2), min_size=1), st.booleans()),
    max_size=60,
)


@settings(deadline=None)
@given(rooms=st.lists(st.integers(1, 2), min_size=3, max_size=3), steps=STEPS)
def test_nobody_waits_for_ever(
    loop: asyncio.AbstractEventLoop, rooms: list[int], steps: list[tuple[int, set[int], bool]]
) -> None:
    async def run() -> None:
        doors, runs = [Door(room) for room in rooms], Runs()
        wanted: dict[str, list[Door]] = {}
        for number, some, leaves in steps:
            name = str(number)
            if name in runs.inside:
                runs.end(name)
            elif leaves and name in runs.waiting:
                runs.waiting.pop(name).leave()
            elif name not in runs.waiting:
                wanted[name] = [doors[each] for each in sorted(some)]
                runs.begin(name, *wanted[name])
            elif name in runs.called:
                assert runs.begin(name, *wanted[name]), "who is called can begin"
        for _ in range(40):
            for name in [*runs.inside]:
                runs.end(name)
            for name in runs.called:
                runs.begin(name, *wanted[name])
        assert not runs.waiting
        assert [door.inside for door in doors] == [0, 0, 0]
        assert all(door.is_deserted for door in doors)

    loop.run_until_complete(run())
