"""What a user's type checker knows of events; nothing here runs.

What must be an error says so, and a checker that does not report it complains of the comment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, assert_type

from pydantic import BaseModel

from dispytch import Event, EventBase


class Order(BaseModel):
    number: int


@dataclass
class Refund:
    amount: int


class Stock(TypedDict):
    left: int


class OrderPlaced(EventBase):
    __topic__ = "orders"
    __event_type__ = "order_placed"
    __key__ = "{number}"

    number: int


placed = OrderPlaced(number=1)
assert_type(placed.number, int)
assert_type(placed.__event_id__, str)
OrderPlaced(number="one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
OrderPlaced()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Misnamed(EventBase):
    __topic__ = 5  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    __event_type__ = "misnamed"


def of_model(event: Event[Order]) -> None:
    assert_type(event.body, Order)
    assert_type(event.body.number, int)
    event.body.nothing  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def of_dataclass(event: Event[Refund]) -> None:
    assert_type(event.body.amount, int)


def of_typed_dict(event: Event[Stock]) -> None:
    assert_type(event.body["left"], int)


def of_union(event: Event[Order | Refund]) -> None:
    assert_type(event.body, Order | Refund)


def of_plain_types(event: Event[list[int]]) -> None:
    assert_type(event.body[0], int)


def bare(event: Event) -> None:
    assert_type(event.body, Any)


def around_the_body(event: Event[Order]) -> None:
    assert_type(event.id, str)
    assert_type(event.type, str | None)
    assert_type(event.timestamp, datetime | None)
    assert_type(event.key, str | None)
    assert_type(event.headers, Mapping[str, str])
    assert_type(event.attempt, int)
    assert_type(event.position, int)


def of_another_body(event: Event[Refund]) -> None:
    of_model(event)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
