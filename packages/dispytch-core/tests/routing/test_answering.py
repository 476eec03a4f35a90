"""Which handlers answer, and with what."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, cast

import pytest
from pydantic import BaseModel

from dispytch import Event, HandlerGroup
from dispytch.dependencies import Wiring
from dispytch.exceptions import InvalidHandler
from dispytch.routing import plan_routes
from dispytch.routing.answering import Result


class Price(BaseModel):
    cents: int


class Strange:
    """Nothing that pydantic knows."""


async def a_price(event: Event) -> Price:
    raise NotImplementedError


async def a_price_or_none(event: Event) -> Price | None:
    raise NotImplementedError


def from_a_thread(event: Event) -> list[int]:
    raise NotImplementedError


def an_awaitable(event: Event) -> Awaitable[Price]:
    raise NotImplementedError


def a_coroutine(event: Event) -> Coroutine[Any, Any, Price]:
    raise NotImplementedError


async def in_quotes(event: Event) -> "Price":
    raise NotImplementedError


async def nothing(event: Event) -> None: ...


def an_awaitable_nothing(event: Event) -> Awaitable[None]:
    raise NotImplementedError


async def never(event: Event) -> NoReturn:
    raise NotImplementedError


async def untold(event: Event):  # type: ignore[no-untyped-def]
    ...


async def strange(event: Event) -> Strange:
    raise NotImplementedError


Handler = Callable[..., Any]


@pytest.mark.parametrize("handler", [a_price, an_awaitable, a_coroutine, in_quotes])
def test_a_return_annotation_makes_a_handler_answer(handler: Handler) -> None:
    result = Result.of(handler, None, "name")
    assert result is not None
    assert result.even_none
    assert result.adapter.validate_python({"cents": 5}) == Price(cents=5)


def test_the_annotation_may_be_any_type() -> None:
    result, optional = Result.of(from_a_thread, None, ""), Result.of(a_price_or_none, None, "")
    assert result is not None
    assert optional is not None
    assert result.adapter.validate_python(["1", 2]) == [1, 2]
    assert optional.adapter.validate_python(None) is None


@pytest.mark.parametrize("handler", [nothing, never, an_awaitable_nothing])
def test_a_handler_that_returns_nothing_answers_nothing(handler: Handler) -> None:
    assert Result.of(handler, None, "name") is None


def test_a_handler_without_annotation_answers_what_is_not_none() -> None:
    result = Result.of(cast("Handler", untold), None, "name")
    assert result is not None
    assert not result.even_none


@pytest.mark.parametrize("handler", [nothing, untold, a_price])
def test_a_registration_has_the_last_word(handler: Handler) -> None:
    told = Result.of(handler, True, "name")
    assert told is not None
    assert told.even_none
    assert Result.of(handler, False, "name") is None


def test_what_pydantic_cannot_write_is_no_matter_until_it_is_told_to_answer() -> None:
    assert Result.of(strange, None, "name") is not None
    with pytest.raises(InvalidHandler, match=r"handler name answers .* cannot write .*Strange"):
        Result.of(strange, True, "name")


def test_a_handler_that_was_told_to_answer_is_checked_at_start() -> None:
    group = HandlerGroup()
    group.handler(topic="t", answers=True)(strange)
    with pytest.raises(InvalidHandler, match="answers requests"):
        plan_routes(group.registrations(), Wiring())


def test_answers_is_true_or_false() -> None:
    with pytest.raises(InvalidHandler, match="answers must be True or False, not 'yes'"):
        HandlerGroup().handler(topic="t", answers=cast("Any", "yes"))(nothing)
