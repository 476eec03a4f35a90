"""Errors become decisions."""

import asyncio
from typing import Any

import pytest

from dispytch import Event, Reject, RetryAfter, Skip
from dispytch.exceptions import ConfigurationError, Postpone
from dispytch.middleware import map_exceptions, wrap


async def raised(mapping: Any, error: BaseException, event: Event[Any]) -> BaseException:
    async def handler(event: Event[Any]) -> None:
        raise error

    with pytest.raises(BaseException) as caught:  # noqa: PT011
        await wrap(handler, [map_exceptions(mapping)])(event)
    return caught.value


async def test_an_exception_is_raised_in_a_copy_with_its_cause(an_event: Any) -> None:
    decision, timeout = RetryAfter(5, "slow"), TimeoutError()
    seen = [await raised({TimeoutError: decision}, timeout, an_event()) for _ in range(2)]
    for error in seen:
        assert isinstance(error, RetryAfter)
        assert (error.seconds, error.reason, error.__cause__) == (5, "slow", timeout)
    assert seen[0] is not seen[1]
    assert decision.__traceback__ is None


async def test_a_class_is_told_what_went_wrong(an_event: Any) -> None:
    error = await raised({ValueError: Reject}, ValueError("no such order"), an_event())
    assert isinstance(error, Reject)
    assert str(error) == "ValueError: no such order"


async def test_a_function_makes_one_of_the_error(an_event: Any) -> None:
    def after(error: OSError) -> Exception:
        return RetryAfter(error.errno or 1)

    error = await raised({OSError: after}, ConnectionError(7, "busy"), an_event())
    assert isinstance(error, RetryAfter)
    assert error.seconds == 7


async def test_a_function_that_makes_no_exception_says_so(an_event: Any) -> None:
    error = await raised({OSError: lambda error: None}, OSError(), an_event())
    assert isinstance(error, TypeError)
    assert "OSError" in str(error)


@pytest.mark.parametrize("turned", [False, True])
async def test_the_closest_class_counts_in_whatever_order(turned: bool, an_event: Any) -> None:
    pairs: list[tuple[type[Exception], type[Exception]]] = [
        (Exception, Skip),
        (LookupError, Reject),
    ]
    mapping = dict(reversed(pairs) if turned else pairs)
    assert isinstance(await raised(mapping, KeyError("k"), an_event()), Reject)
    assert isinstance(await raised(mapping, TypeError(), an_event()), Skip)


@pytest.mark.parametrize("error", [KeyError(), Skip(), asyncio.CancelledError()])
async def test_what_has_no_key_passes(error: BaseException, an_event: Any) -> None:
    assert await raised({ValueError: Reject}, error, an_event()) is error


async def test_what_returns_is_left_alone(an_event: Any) -> None:
    async def handler(event: Event[Any]) -> str:
        return "done"

    assert await wrap(handler, [map_exceptions({ValueError: Reject})])(an_event()) == "done"


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({}, "what to raise"),
        ([ValueError], "what to raise"),
        ({"ValueError": Reject}, "no exception class"),
        ({KeyboardInterrupt: Reject}, "no exception class"),
        ({ValueError: int}, "no exception class"),
        ({ValueError: "reject"}, "function that makes one"),
        ({ValueError: RetryAfter}, r"RetryAfter\(5\)"),
        ({ValueError: Postpone}, r"Postpone\(5\)"),
    ],
)
def test_what_makes_no_sense_is_refused(mapping: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        map_exceptions(mapping)


class Busy(Exception):
    """Cannot be copied: its constructor takes more than its text."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port}")


class TryAgain(RetryAfter):
    """A decision of the user's, with a constructor of its own."""

    def __init__(self, *, host: str) -> None:
        super().__init__(7, f"{host} is busy")
        self.host = host


async def test_an_exception_that_cannot_be_copied_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"Busy for TimeoutError cannot be copied.*lambda"):
        map_exceptions({TimeoutError: Busy("db", 5432)})


async def test_a_postponement_is_raised_in_a_copy_too(an_event: Any) -> None:
    decision = Postpone(5)
    error = await raised({TimeoutError: decision}, TimeoutError(), an_event())
    assert isinstance(error, Postpone)
    assert (error.seconds, error is decision) == (5, False)


async def test_so_is_a_decision_with_a_constructor_of_its_own(an_event: Any) -> None:
    error = await raised({TimeoutError: TryAgain(host="db")}, TimeoutError(), an_event())
    assert isinstance(error, TryAgain)
    assert (error.host, error.seconds, str(error)) == ("db", 7, "again in 7 s: db is busy")
