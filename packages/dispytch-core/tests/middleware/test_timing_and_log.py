"""Every run is reported, and logged, with its duration and its end."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from dispytch import Event, Reject, RetryAfter, Skip
from dispytch.exceptions import ConfigurationError, Postpone
from dispytch.middleware import Log, Run, Timing, wrap

ENDINGS = [
    (None, "handled"),
    (Skip(), "skipped"),
    (Reject(), "rejected"),
    (RetryAfter(1), "retry_after"),
    (Postpone(1), "postponed"),
    (ValueError("no"), "failed"),
    (asyncio.CancelledError(), "cancelled"),
]


@dataclass
class Handler:
    """Takes a quarter of a second of the clock, then ends as it is told to."""

    clock: Any
    error: BaseException | None = None
    runs: list[Event[Any]] = field(default_factory=list)

    async def __call__(self, event: Event[Any]) -> str:
        self.runs.append(event)
        self.clock.now += 0.25
        if self.error is not None:
            raise self.error
        return "done"


async def ended(run: Any, event: Event[Any]) -> object:
    try:
        return await run(event)
    except BaseException as error:
        return error


@pytest.mark.parametrize(("error", "ending"), ENDINGS)
async def test_every_run_is_reported(
    error: BaseException | None, ending: str, clock: Any, an_event: Any
) -> None:
    runs: list[Run] = []
    event = an_event()
    result = await ended(wrap(Handler(clock, error), [Timing(runs.append, clock=clock)]), event)
    assert result == (error or "done")
    (run,) = runs
    assert (run.event, run.seconds, run.ending, run.error) == (event, 0.25, ending, error)


async def test_a_report_that_fails_changes_nothing(
    clock: Any, an_event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def report(run: Run) -> None:
        raise LookupError

    assert await wrap(Handler(clock), [Timing(report)])(an_event()) == "done"
    assert "shop.handle" in caplog.text


@pytest.mark.parametrize(("error", "ending"), ENDINGS)
async def test_every_run_is_logged_with_fields(
    error: BaseException | None,
    ending: str,
    clock: Any,
    an_event: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "dispytch.handlers")
    await ended(wrap(Handler(clock, error), [Log(clock=clock)]), an_event("acme"))
    (record,) = caplog.records
    wanted = {
        "handler": "shop.handle",
        "ending": ending,
        "duration": 0.25,
        "event_id": "id-1",
        "event_type": "ordered",
        "topic": "orders",
        "key": "acme",
        "stream": "orders[0]",
        "position": 1,
        "attempt": 1,
    }
    assert {name: record.__dict__[name] for name in wanted} == wanted
    assert record.__dict__.get("error_type") == (None if error is None else type(error).__name__)
    assert record.getMessage().startswith("shop.handle ")
    assert "event id-1 in 250.0 ms" in record.getMessage()
    assert record.levelno == {
        "postponed": logging.DEBUG,
        "failed": logging.WARNING,
        "rejected": logging.WARNING,
        "cancelled": logging.WARNING,
    }.get(ending, logging.INFO)


@pytest.mark.parametrize(("slow", "level"), [(0.2, logging.ERROR), (0.3, 15), (None, 15)])
async def test_levels_and_the_logger_are_one_s_own(
    slow: float | None, level: int, clock: Any, an_event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "shop")
    log = Log(
        level=15,
        failure_level=logging.ERROR,
        slow=slow,
        logger=logging.getLogger("shop"),
        clock=clock,
    )
    await wrap(Handler(clock), [log])(an_event())
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("shop", level)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"level": "INFO"}, "level"),
        ({"failure_level": None}, "failure_level"),
        ({"slow": 0}, "slow"),
        ({"slow": True}, "slow"),
        ({"logger": "shop"}, "logger"),
    ],
)
def test_what_makes_no_sense_is_refused(options: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Log(**options)


def test_a_report_is_a_function() -> None:
    no_function: Any = []
    with pytest.raises(ConfigurationError, match="function"):
        Timing(no_function)
