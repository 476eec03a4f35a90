"""No more runs start in a time than are allowed, in turn, and none is lost."""

import heapq
from collections.abc import Callable, Sequence
from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch import Event, Postpone
from dispytch.exceptions import ConfigurationError
from dispytch.middleware import Middleware, Next, RateLimit, wrap
from dispytch.middleware.token_bucket import TokenBucket


class Runs:
    """When which event was handled; plays the part of the engine for those that are postponed."""

    def __init__(self, clock: Any, *middlewares: Middleware, error: Exception | None = None):
        self.clock = clock
        self.started: list[tuple[float, Event[Any]]] = []
        self.postponed = 0
        self._error = error
        self._run: Next = wrap(self._handle, middlewares)

    async def _handle(self, event: Event[Any]) -> None:
        self.started.append((self.clock.now, event))
        if self._error is not None:
            raise self._error

    async def offer(self, event: Event[Any]) -> float | None:
        """When the event may come back, if it is postponed."""
        try:
            await self._run(event)
        except Postpone as decision:
            self.postponed += 1
            return self.clock.now + decision.seconds
        return None

    async def all_of(self, events: Sequence[tuple[float, Event[Any]]]) -> list[float]:
        """Offer each at its time, and those that are postponed when they are due again."""
        queue = [(at, place, event) for place, (at, event) in enumerate(events)]
        heapq.heapify(queue)
        while queue:
            at, place, event = heapq.heappop(queue)
            self.clock.now = max(self.clock.now, at)
            again = await self.offer(event)
            if again is not None:
                heapq.heappush(queue, (again, place, event))
        return [at for at, _ in self.started]


async def test_runs_are_spaced_and_in_turn(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(10, clock=clock))
    events = [an_event() for _ in range(5)]
    times = await runs.all_of([(100.0, event) for event in events])
    assert times == pytest.approx([100.0, 100.1, 100.2, 100.3, 100.4])
    assert [event for _, event in runs.started] == events
    assert runs.postponed == 4, "each waits once, for its own turn"


async def test_a_burst_starts_at_once_and_comes_back_with_rest(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(60, timedelta(minutes=1), burst=3, clock=clock))
    times = await runs.all_of([(100.0, an_event()) for _ in range(4)])
    assert times == pytest.approx([100, 100, 100, 101])
    clock.now = 200.0
    assert await runs.all_of([(200.0, an_event()) for _ in range(4)]) == pytest.approx(
        [100, 100, 100, 101, 200, 200, 200, 201]
    )


async def test_keys_have_limits_of_their_own_and_none_has_no_limit(
    clock: Any, an_event: Any
) -> None:
    runs = Runs(clock, RateLimit(1, key=lambda event: event.key, clock=clock))
    assert await runs.offer(an_event("a")) is None
    assert await runs.offer(an_event("a")) == 101
    assert await runs.offer(an_event("b")) is None
    for _ in range(3):
        assert await runs.offer(an_event(None)) is None


async def test_a_newcomer_does_not_take_the_turn_of_who_waits(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, clock=clock))
    early = an_event()
    assert await runs.offer(an_event()) is None
    assert await runs.offer(early) == 101
    clock.now = 101.0
    assert await runs.offer(an_event()) == 102
    assert await runs.offer(early) is None


async def test_who_comes_too_early_keeps_its_turn(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, clock=clock))
    await runs.offer(an_event())
    event = an_event()
    assert await runs.offer(event) == 101
    clock.now = 100.75
    assert await runs.offer(event) == 101
    clock.now = 101.0
    assert await runs.offer(event) is None


async def test_turns_far_ahead_are_given_in_order(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, timedelta(minutes=5), clock=clock))
    assert await runs.offer(an_event()) is None
    first, second = an_event(), an_event()
    assert await runs.offer(first) == 400
    assert await runs.offer(second) == 700
    clock.now = 400.0
    assert await runs.offer(second) == 700, "it is not its turn, though it came first"
    assert await runs.offer(first) is None


async def test_who_never_comes_back_leaves_its_turn_to_the_next(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, clock=clock))
    events = [an_event() for _ in range(4)]
    for event in events:
        await runs.offer(event)
    events[1].claim.leave()
    clock.now = 101.0
    assert await runs.offer(events[3]) == 102
    events[2].claim.leave()
    assert await runs.offer(events[3]) is None, "the turn that was kept for the one before it"


async def test_nothing_is_sent_away_for_more_than_an_hour(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, timedelta(days=90), clock=clock))
    times = await runs.all_of([(100.0, an_event()) for _ in range(2)])
    assert times == pytest.approx([100, 100 + 90 * 86400])
    assert 90 * 24 <= runs.postponed <= 90 * 24 + 2


async def test_those_who_wait_long_do_not_ask_all_the_time(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, timedelta(minutes=5), clock=clock))
    events = [an_event() for _ in range(10)]
    times = await runs.all_of([(100.0, event) for event in events])
    assert times == pytest.approx([100 + 300 * number for number in range(10)])
    assert [event for _, event in runs.started] == events
    assert runs.postponed <= 10 * 10


async def test_a_retry_is_a_run_as_well(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, clock=clock), error=ValueError())
    event = an_event()
    with pytest.raises(ValueError):  # noqa: PT011
        await runs.offer(event)
    assert await runs.offer(event) == 101


async def test_who_comes_late_has_its_turn_at_once(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, clock=clock))
    await runs.offer(an_event())
    late = an_event()
    assert await runs.offer(late) == 101
    clock.now = 104.0
    assert await runs.offer(an_event()) == 105, "the turn is kept"
    assert await runs.offer(late) is None


async def test_a_turn_that_nobody_comes_for_goes_to_the_next(clock: Any, an_event: Any) -> None:
    runs = Runs(clock, RateLimit(1, timedelta(minutes=1), clock=clock))
    await runs.offer(an_event())
    gone, other = an_event(), an_event()
    assert await runs.offer(gone) == 160
    clock.now = 160.0
    assert await runs.offer(other) == 220
    clock.now = 166.0
    assert await runs.offer(other) is None


async def test_two_limits_do_not_wear_each_other_out(clock: Any, an_event: Any) -> None:
    fast, slow = RateLimit(2, clock=clock), RateLimit(1, clock=clock)
    for order in ([fast, slow], [slow, fast]):
        clock.now = round(clock.now) + 100.0
        start = clock.now
        runs = Runs(clock, *order)
        times = await runs.all_of([(start, an_event()) for _ in range(30)])
        assert times == pytest.approx([start + number for number in range(30)])


async def test_one_that_is_around_a_handler_twice_counts_once(clock: Any, an_event: Any) -> None:
    limit = RateLimit(1, clock=clock)
    runs = Runs(clock, limit, limit)
    times = await runs.all_of([(100.0, an_event()) for _ in range(3)])
    assert times == pytest.approx([100, 101, 102])


async def test_keys_that_had_their_rest_are_forgotten(clock: Any, an_event: Any) -> None:
    limit = RateLimit(1, key=lambda event: event.key, clock=clock)
    runs = Runs(clock, limit)
    for number in range(100):
        await runs.offer(an_event(str(number)))
    assert len(limit._kept.now()[0].turns) == 100
    clock.now += 1
    await runs.offer(an_event("new"))
    assert list(limit._kept.now()[0].turns) == ["new"]


async def test_no_more_keys_are_kept_than_allowed(clock: Any, an_event: Any) -> None:
    limit = RateLimit(1, key=lambda event: event.key, max_keys=10, clock=clock)
    runs = Runs(clock, limit)
    for number in range(100):
        await runs.offer(an_event(str(number)))
    assert list(limit._kept.now()[0].turns) == [str(number) for number in range(90, 100)]
    assert await runs.offer(an_event("99")) == 101
    assert await runs.offer(an_event("0")) is None, "it was forgotten, and starts anew"


@given(
    st.lists(st.integers(0, 40), max_size=40),
    st.integers(1, 8),
    st.integers(1, 5),
)
def test_in_no_time_do_more_start_than_allowed(gaps: list[int], rate: int, burst: int) -> None:
    bucket, now, starts = TokenBucket(1 / rate, burst), 0.0, []
    for gap in gaps:
        now += gap / 16
        starts.append(now + bucket.wait(now))
        bucket.take(now)
    assert starts == sorted(starts)
    for first, start in enumerate(starts):
        within = [other for other in starts[first:] if other < start + 1 - 1e-6]
        assert len(within) <= rate + burst
    for place, start in enumerate(starts[burst:]):
        assert start - starts[place] >= 0


@given(st.integers(1, 5), st.integers(0, 100))
def test_a_bucket_that_rested_is_as_good_as_new(burst: int, taken: int) -> None:
    bucket = TokenBucket(0.5, burst)
    for _ in range(taken):
        bucket.take(10.0)
    rested = 10.0 + 0.5 * taken
    assert bucket.is_full(rested)
    assert not taken or not bucket.is_full(rested - 0.25)
    waits = []
    for _ in range(burst + 1):
        waits.append(bucket.wait(rested))
        bucket.take(rested)
    assert waits == [0.0] * burst + [0.5]


ONE: Callable[[Any], Any] = lambda event: 1  # noqa: E731


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": -1}, "rate"),
        ({"rate": inf}, "rate"),
        ({"rate": nan}, "rate"),
        ({"rate": True}, "rate"),
        ({"rate": "1"}, "rate"),
        ({"rate": 1, "per": 0}, "per"),
        ({"rate": 1, "per": timedelta(-1)}, "per"),
        ({"rate": 1, "burst": 0}, "burst"),
        ({"rate": 1, "burst": 1.5}, "burst"),
        ({"rate": 1, "key": "tenant"}, "key"),
        ({"rate": 1, "key": ONE, "max_keys": 0}, "max_keys"),
    ],
)
def test_what_makes_no_sense_is_refused(options: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        RateLimit(**options)


def test_without_a_key_it_can_be_shown_and_is_frozen() -> None:
    limit = RateLimit(5)
    assert "rate=5" in repr(limit)
    with pytest.raises(AttributeError):
        limit.rate = 6  # type: ignore[misc]
