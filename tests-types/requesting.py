"""What a user's type checker knows of requests and replies; nothing here runs."""

from typing import Any, Literal, TypedDict, assert_type

from events import Order, Refund, placed
from pydantic import BaseModel, TypeAdapter

from dispytch import Event, EventEmitter, HandlerGroup
from dispytch.exceptions import RequestFailed, RequestTimeout

prices = HandlerGroup(default_topic="prices")


class Price(TypedDict):
    cents: int


@prices.handler(event="get_price", answers=True)
async def price(event: Event[Order], emitter: EventEmitter) -> Price:
    assert_type(await emitter.request(placed, reply=Price), Price)
    return Price(cents=event.body.number)


prices.handler(answers="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def request(emitter: EventEmitter) -> None:
    assert_type(await emitter.request(placed, reply=Order), Order)
    assert_type(await emitter.request(placed, reply=Refund, timeout=5), Refund)
    assert_type(await emitter.request(placed, reply=int), int)
    assert_type(await emitter.request(placed, reply=dict[str, int]), dict[str, int])
    assert_type(await emitter.request(placed, reply=list[Order]), list[Order])
    maybe = TypeAdapter[Order | None](Order | None)
    assert_type(await emitter.request(placed, reply=maybe, timeout=0.5), Order | None)


async def unions_need_an_adapter_or_an_annotation(emitter: EventEmitter) -> None:
    assert_type(await emitter.request(placed, reply=Order | None), Any)
    annotated: Order | None = await emitter.request(placed, reply=Order | None)
    assert_type(annotated, Order | None)
    literal: Literal["sold", "left"] = await emitter.request(placed, reply=Literal["sold", "left"])
    assert_type(literal, Literal["sold", "left"])


async def a_reply_may_be_assigned_to_a_wider_type(emitter: EventEmitter) -> None:
    model: BaseModel = await emitter.request(placed, reply=Order)
    maybe: Order | None = await emitter.request(placed, reply=Order)
    print(model, maybe)


async def misuse(emitter: EventEmitter) -> None:
    answer = await emitter.request(placed, reply=Order)
    answer.cents  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    other: Refund = await emitter.request(placed, reply=Order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await emitter.request(placed)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await emitter.request("placed", reply=Order)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await emitter.request(placed, reply=Order, timeout="5")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    adapter = TypeAdapter(Order)
    another: Refund = await emitter.request(placed, reply=adapter)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(other, another)


async def failures(emitter: EventEmitter) -> None:
    try:
        await emitter.request(placed, reply=None)
    except RequestFailed as error:
        assert_type(error.handler, str)
        assert_type(error.error_type, str)
        assert_type(error.message, str)
    except RequestTimeout as error:
        assert_type(str(error), str)
