"""The middlewares that go around batches, and what each event of a batch gets of it."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from dispytch import (
    Batch,
    BatchFailed,
    Event,
    EventBase,
    EventListener,
    HandlerGroup,
    Reject,
    RetryAfter,
    Skip,
)
from dispytch.batch import wrap_batch
from dispytch.middleware import (
    Filter,
    Log,
    Middleware,
    Run,
    Timing,
    map_exceptions,
)


@dataclass
class Handler:
    """Takes a quarter of a second of the clock, then ends as it is told to."""

    clock: Any = None
    error: BaseException | None = None
    batches: list[list[Event[Any]]] = field(default_factory=list)

    async def __call__(self, events: list[Event[Any]]) -> None:
        self.batches.append(events)
        if self.clock is not None:
            self.clock.now += 0.25
        if self.error is not None:
            raise self.error


def numbers(events: list[Event[Any]]) -> list[int]:
    return [event.body["number"] for event in events]


async def failures(run: Any, events: list[Event[Any]]) -> Any:
    try:
        await run(events)
    except BatchFailed as partial:
        return partial.failures
    except BaseException as error:
        return error
    return {}


no = ValueError("no")


@pytest.mark.parametrize(
    ("error", "endings"),
    [
        (None, ["handled", "handled", "handled"]),
        (no, ["failed", "failed", "failed"]),
        (asyncio.CancelledError(), ["cancelled", "cancelled", "cancelled"]),
        (BatchFailed({0: Skip(), 2: no}), ["skipped", "handled", "failed"]),
    ],
)
async def test_each_event_of_a_batch_is_reported(
    error: BaseException | None, endings: list[str], clock: Any, an_event: Any
) -> None:
    runs: list[Run] = []
    events = [an_event() for _ in range(3)]
    timing = Timing(runs.append, clock=clock)
    await failures(wrap_batch(Handler(clock, error), [timing]), events)
    assert [run.event for run in runs] == events
    assert [run.ending for run in runs] == endings
    assert {(run.seconds, run.batch) for run in runs} == {(0.25, 3)}


async def test_each_event_of_a_batch_is_logged(
    an_event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dispytch.handlers")
    run = wrap_batch(Handler(error=BatchFailed({1: no})), [Log()])
    await failures(run, [an_event(), an_event()])
    handled, failed = caplog.records
    assert "id-1 in a batch of 2" in handled.getMessage()
    assert (handled.levelno, failed.levelno) == (logging.INFO, logging.WARNING)
    assert (handled.__dict__["batch"], failed.__dict__["error_type"]) == (2, "ValueError")


async def test_a_single_event_is_no_batch(an_event: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dispytch.handlers")
    await wrap_batch(Handler(), [Log()])([an_event()])
    (record,) = caplog.records
    assert "batch" not in record.getMessage()
    assert "batch" not in record.__dict__


def is_even(event: Event[Any]) -> bool:
    if event.body["number"] == 3:
        raise LookupError
    return event.body["number"] % 2 == 0


async def test_a_filter_hands_on_what_is_wanted(an_event: Any) -> None:
    handler = Handler(error=BatchFailed({1: no}))
    found = await failures(
        wrap_batch(handler, [Filter(is_even)]), [an_event(position=at) for at in range(1, 7)]
    )
    assert [numbers(batch) for batch in handler.batches] == [[2, 4, 6]]
    assert {index: type(error) for index, error in found.items()} == {
        0: Skip,
        2: LookupError,
        3: ValueError,
        4: Skip,
    }


async def test_a_handler_is_spared_a_batch_of_which_nothing_is_wanted(an_event: Any) -> None:
    handler = Handler()
    found = await failures(
        wrap_batch(handler, [Filter(is_even)]), [an_event(position=1), an_event(position=5)]
    )
    assert handler.batches == []
    assert [type(error) for error in found.values()] == [Skip, Skip]


async def test_a_batch_that_is_wanted_passes_as_it_is(an_event: Any) -> None:
    handler = Handler(error=no)
    events = [an_event(position=2), an_event(position=4)]
    assert await failures(wrap_batch(handler, [Filter(is_even)]), events) is no
    assert handler.batches == [events]


MAP = map_exceptions({ValueError: Reject, TimeoutError: RetryAfter(5)})


async def test_the_errors_of_a_batch_are_mapped_each_by_itself(an_event: Any) -> None:
    slow, other = TimeoutError(), LookupError()
    error = BatchFailed({0: no, 1: slow, 2: no, 3: other})
    found = await failures(wrap_batch(Handler(error=error), [MAP]), [an_event() for _ in range(5)])
    assert [type(one) for one in found.values()] == [Reject, RetryAfter, Reject, LookupError]
    assert found[0] is found[2], "one error stays one"
    assert (found[0].__cause__, found[1].__cause__, found[3].__cause__) == (no, slow, None)


@pytest.mark.parametrize(("error", "mapped"), [(no, Reject), (KeyError(), KeyError)])
async def test_the_error_of_a_whole_batch_is_mapped(
    error: Exception, mapped: type[Exception], an_event: Any
) -> None:
    found = await failures(wrap_batch(Handler(error=error), [MAP]), [an_event(), an_event()])
    assert type(found) is mapped
    assert found is error or found.__cause__ is error


class Measured(EventBase):
    __topic__ = "measured"
    __event_type__ = "measured"
    __key__ = "roof"

    value: int


def listening(*middlewares: Middleware) -> tuple[EventListener, list[list[int]]]:
    group, stored = HandlerGroup("measured", "measured"), list[list[int]]()

    @group.handler(batch=Batch(4, wait=60))
    async def store(events: list[Event[Measured]]) -> None:
        stored.append([event.body.value for event in events])
        bad = {index: no for index, event in enumerate(events) if event.body.value == 4}
        if bad:
            raise BatchFailed(bad)

    listener = EventListener("memory://", group="store", middlewares=middlewares)
    listener.add_handler_group(group)
    return listener, stored


async def test_a_listener_with_batches_takes_them_all() -> None:
    runs: list[Run] = []
    wanted = Filter(lambda event: event.body.value != 2)
    listener, stored = listening(Log(), Timing(runs.append), wanted, MAP)
    async with listener.test() as probe:
        await probe.emit_many(Measured(value=value) for value in range(1, 5))
        await probe.settled()
        assert stored == [[1, 3, 4]]
        assert [letter.reason for letter in probe.dead_lettered] == ["rejected"]
        outcomes = probe.outcomes
        assert (outcomes.handled, outcomes.skipped, outcomes.retried) == (2, 1, 0)
    assert [run.ending for run in runs] == ["handled", "skipped", "handled", "rejected"]
