"""No more runs go on at once than are allowed; places are given in turn, and none is lost."""

import asyncio
from typing import Any

import pytest

from dispytch import Event, Postpone
from dispytch.exceptions import ConfigurationError
from dispytch.middleware import ConcurrencyLimit, Middleware, wrap


class Runs:
    """Handlers that go on until they are told to end."""

    def __init__(self, *middlewares: Middleware) -> None:
        self._run = wrap(self._handle, middlewares)
        self._ends: dict[int, asyncio.Event] = {}
        self._tasks: dict[int, asyncio.Task[Any]] = {}

    async def _handle(self, event: Event[Any]) -> None:
        await self._ends.setdefault(event.position, asyncio.Event()).wait()

    @property
    def going_on(self) -> list[int]:
        return sorted(self._ends)

    async def start(self, event: Event[Any]) -> asyncio.Future[None] | None:
        """None when it goes on; else what it waits for."""
        task = self._tasks[event.position] = asyncio.ensure_future(self._run(event))
        for _ in range(10):
            await asyncio.sleep(0)
        if not task.done():
            return None
        error = task.exception()
        assert isinstance(error, Postpone)
        assert error.until is not None
        return error.until

    async def end(self, position: int) -> None:
        self._ends.pop(position).set()
        await self._tasks[position]

    async def cancel(self, position: int) -> None:
        self._ends.pop(position)
        self._tasks[position].cancel()
        await asyncio.wait([self._tasks[position]])


@pytest.fixture
def limit(clock: Any) -> ConcurrencyLimit:
    return ConcurrencyLimit(2, clock=clock)


@pytest.fixture
def runs(limit: ConcurrencyLimit) -> Runs:
    return Runs(limit)


async def test_a_place_is_given_on_to_who_waits_for_longest(
    runs: Runs, limit: ConcurrencyLimit, an_event: Any
) -> None:
    events = [an_event(position=number) for number in range(5)]
    waits = [await runs.start(event) for event in events]
    assert [wait is None for wait in waits] == [True, True, False, False, False]
    await runs.end(0)
    assert [wait.done() for wait in waits[2:] if wait is not None] == [True, False, False]
    assert await runs.start(an_event(position=9)) is not None, "the place is kept"
    assert await runs.start(events[2]) is None
    assert runs.going_on == [1, 2]
    for number in (1, 2):
        await runs.end(number)
    assert await runs.start(events[3]) is None
    assert await runs.start(events[4]) is None


async def test_nothing_is_kept_when_all_have_ended(
    runs: Runs, limit: ConcurrencyLimit, an_event: Any
) -> None:
    assert await runs.start(an_event(position=0)) is None
    await runs.end(0)
    assert limit._kept.now()[0].places == {}


async def test_a_cancelled_run_gives_its_place_back(runs: Runs, an_event: Any) -> None:
    for number in range(2):
        await runs.start(an_event(position=number))
    third = an_event(position=2)
    freed = await runs.start(third)
    assert freed is not None
    await runs.cancel(0)
    assert freed.done()
    assert await runs.start(third) is None


async def test_who_asks_again_keeps_its_turn(runs: Runs, an_event: Any, clock: Any) -> None:
    events = [an_event(position=number) for number in range(4)]
    for event in events:
        await runs.start(event)
    clock.now += 5
    later = await runs.start(events[3])
    first = await runs.start(events[2])
    await runs.end(0)
    assert first is not None
    assert later is not None
    assert (first.done(), later.done()) == (True, False)


async def test_a_place_that_nobody_comes_for_goes_to_the_next(
    runs: Runs, an_event: Any, clock: Any
) -> None:
    events = [an_event(position=number) for number in range(4)]
    for event in events:
        await runs.start(event)
    await runs.end(0)
    clock.now += 4
    assert await runs.start(events[3]) is not None, "kept for event 2"
    clock.now += 2
    assert await runs.start(events[3]) is None, "event 2 has not come"
    assert await runs.start(events[2]) is not None


@pytest.mark.parametrize("called", [False, True])
async def test_who_never_comes_back_leaves_its_place_to_the_next(
    runs: Runs, an_event: Any, called: bool
) -> None:
    events = [an_event(position=number) for number in range(4)]
    waits = [await runs.start(event) for event in events]
    if called:
        await runs.end(0)
    assert waits[2] is not None
    assert waits[3] is not None
    assert waits[2].done() is called
    events[2].claim.leave()
    if not called:
        await runs.end(0)
    assert waits[3].done()
    assert await runs.start(events[3]) is None


async def test_a_run_that_waits_at_two_limits_keeps_no_place_of_either(an_event: Any) -> None:
    outer, inner = ConcurrencyLimit(1), ConcurrencyLimit(1)
    both, of_outer, of_inner = Runs(outer, inner), Runs(outer), Runs(inner)
    event = an_event(position=1)
    assert await of_inner.start(an_event(position=2)) is None
    wait = await both.start(event)
    assert wait is not None
    assert await of_outer.start(an_event(position=3)) is None, "the outer one is free meanwhile"
    await of_inner.end(2)
    assert wait.done()
    wait = await both.start(event)
    assert wait is not None, "the outer one is taken now"
    assert await of_inner.start(an_event(position=4)) is None, "the inner one is free meanwhile"
    await of_outer.end(3)
    assert not wait.done(), "only one of the two is free"
    await of_inner.end(4)
    assert wait.done()
    assert await of_outer.start(an_event(position=5)) is not None, "both are kept for it"
    assert await both.start(event) is None


async def test_keys_have_limits_of_their_own_and_none_has_no_limit(an_event: Any) -> None:
    runs = Runs(ConcurrencyLimit(1, key=lambda event: event.key))
    assert await runs.start(an_event("a")) is None
    assert await runs.start(an_event("a")) is not None
    assert await runs.start(an_event("b")) is None
    for _ in range(3):
        assert await runs.start(an_event(None)) is None


async def test_keys_that_nobody_needs_are_forgotten(an_event: Any) -> None:
    limit = ConcurrencyLimit(1, key=lambda event: event.key)
    runs = Runs(limit)
    gone = [an_event(str(number), position=2 * number + 1) for number in range(20)]
    for number, event in enumerate(gone):
        await runs.start(an_event(str(number), position=2 * number))
        await runs.start(event)
        await runs.end(2 * number)
    assert len(limit._kept.now()[0].places) == 20
    for event in gone:
        event.claim.leave()
    for number in range(100, 140):
        await runs.start(an_event(str(number), position=number))
        await runs.end(number)
    assert limit._kept.now()[0].places == {}


async def test_one_that_is_around_a_handler_twice_counts_once(an_event: Any) -> None:
    limit = ConcurrencyLimit(1)
    runs = Runs(limit, limit)
    second = an_event(position=1)
    assert await runs.start(an_event(position=0)) is None
    assert await runs.start(second) is not None
    await runs.end(0)
    assert await runs.start(second) is None


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None, "2"])
def test_a_limit_is_a_positive_whole_number(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="limit"):
        ConcurrencyLimit(limit)


def test_a_key_is_a_function() -> None:
    key: Any = "tenant"
    with pytest.raises(ConfigurationError, match="key"):
        ConcurrencyLimit(1, key=key)
