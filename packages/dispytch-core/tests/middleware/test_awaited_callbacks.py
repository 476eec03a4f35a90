"""What is given to a middleware may be async, or return something awaitable."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dispytch import Event, Reject, Skip
from dispytch.batch import wrap_batch
from dispytch.exceptions import Postpone
from dispytch.middleware import (
    ConcurrencyLimit,
    Filter,
    RateLimit,
    Timing,
    map_exceptions,
    wrap,
)


def also_later(func: Callable[[Any], Any]) -> list[Callable[[Any], Any]]:
    """The function, one that is async, and one that returns a coroutine."""

    async def later(given: Any) -> Any:
        return func(given)

    def returns_it(given: Any) -> Awaitable[Any]:
        return later(given)

    return [func, later, returns_it]


async def handled(event: Event[Any]) -> str:
    return "handled"


@pytest.mark.parametrize("key", also_later(lambda event: event.key))
async def test_the_key_of_a_rate_limit(key: Any, an_event: Any, clock: Any) -> None:
    run = wrap(handled, [RateLimit(1, per=60, key=key, clock=clock)])
    assert await run(an_event("a", position=1)) == "handled"
    assert await run(an_event("b", position=2)) == "handled"
    with pytest.raises(Postpone):
        await run(an_event("a", position=3))


@pytest.mark.parametrize("key", also_later(lambda event: event.key))
async def test_the_key_of_limits_around_batches(key: Any, an_event: Any, clock: Any) -> None:
    async def batch(events: list[Event[Any]]) -> None: ...

    rate = wrap_batch(batch, [RateLimit(1, per=60, key=key, clock=clock)])
    await rate([an_event("a", position=1), an_event("a", position=2)])
    with pytest.raises(Postpone):
        await rate([an_event("a", position=3)])
    await rate([an_event("b", position=4)])


@pytest.mark.parametrize("key", also_later(lambda event: event.key))
async def test_the_key_of_a_concurrency_limit(key: Any, an_event: Any, clock: Any) -> None:
    limit = ConcurrencyLimit(1, key=key, clock=clock)

    async def within(event: Event[Any]) -> None:
        await wrap(handled, [limit])(an_event("b", position=2))
        with pytest.raises(Postpone):
            await wrap(handled, [limit])(an_event("a", position=3))

    await wrap(within, [limit])(an_event("a", position=1))


@pytest.mark.parametrize("predicate", also_later(lambda event: event.key == "a"))
async def test_the_predicate_of_a_filter(predicate: Any, an_event: Any) -> None:
    run = wrap(handled, [Filter(predicate)])
    assert await run(an_event("a")) == "handled"
    with pytest.raises(Skip):
        await run(an_event("b"))


@pytest.mark.parametrize("make", also_later(lambda error: Reject(str(error))))
async def test_the_function_that_makes_an_exception(make: Any, an_event: Any) -> None:
    async def fails(event: Event[Any]) -> None:
        raise ValueError("no such order")

    with pytest.raises(Reject, match="no such order"):
        await wrap(fails, [map_exceptions({ValueError: make})])(an_event())


async def test_the_report_of_a_timing(an_event: Any) -> None:
    for seen in ([], [], []):  # type: list[Any]
        for report in also_later(seen.append):
            await wrap(handled, [Timing(report)])(an_event())
        assert len(seen) == 3
