"""Every kind of body in every format that can hold it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from dispytch.serialization import AvroCodec, Codec, JsonCodec, MessagePackCodec


class Color(Enum):
    RED = "red"
    DARK_BLUE = "dark-blue"


class Size(int, Enum):
    SMALL = 1


class Line(BaseModel):
    sku: str
    count: int = 1


class Order(BaseModel):
    number: int
    customer: str | None = None
    lines: list[Line] = Field(default_factory=list[Line])
    by_sku: dict[str, Line] = Field(default_factory=dict[str, Line])
    colors: set[Color] = Field(default_factory=set[Color])
    size: Size = Size.SMALL
    total: Decimal = Decimal(0)
    weight: float = 0.5
    placed: datetime = datetime(2025, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
    due: date = date(2025, 7, 1)
    at: time = time(12, 30)
    within: timedelta = timedelta(hours=1, microseconds=5)
    id: UUID = UUID(int=7)
    picture: bytes = b"plain"
    pair: tuple[int, int] | None = None
    gift: bool = False
    note: Annotated[str, Field(alias="theNote")] = "none"


@dataclass
class Point:
    x: int
    y: float | None = None


class Address(TypedDict):
    street: str
    floor: int | None


class Cat(BaseModel):
    kind: Literal["cat"]
    name: str


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Tree(BaseModel):
    value: int
    children: list["Tree"] = Field(default_factory=lambda: list[Tree]())


ORDER = Order(
    number=-7,
    customer="Ada",
    lines=[Line(sku="a"), Line(sku="b", count=2)],
    by_sku={"a": Line(sku="a")},
    colors={Color.RED, Color.DARK_BLUE},
    total=Decimal("12.50"),
    pair=(1, 2),
    theNote="x",
)
BODIES: list[tuple[Any, Any]] = [
    (Order, ORDER),
    (Order, Order(number=2**40)),
    (Point, Point(1, 2.5)),
    (Point, Point(1)),
    (Address, Address(street="x", floor=None)),
    (Pet, Dog(kind="dog", name="Rex")),
    (Pet, Cat(kind="cat", name="Tom")),
    (list[Pet], [Dog(kind="dog", name="Rex"), Cat(kind="cat", name="Tom")]),
    (Tree, Tree(value=1, children=[Tree(value=2, children=[Tree(value=3)])])),
    (int, 42),
    (str, "é\x00"),
    (bool, True),
    (float, 0.1),
    (list[int], [1, 2]),
    (dict[str, int], {"a": 1}),
    (dict[int, str], {1: "a"}),
    (int | None, None),
    (int | str, "1"),
    (Color, Color.DARK_BLUE),
    (datetime, datetime(2025, 6, 1, tzinfo=UTC)),
    (tuple[int, str], (1, "a")),
]
CODECS: list[Codec] = [
    JsonCodec(),
    MessagePackCodec(),
    AvroCodec(namespace="acme.shop"),
    AvroCodec(single_object=False),
]

codecs = pytest.mark.parametrize("codec", CODECS, ids=["json", "msgpack", "avro", "avro alone"])


@codecs
@pytest.mark.parametrize(("body", "value"), BODIES, ids=lambda one: str(one)[:20])
def test_what_is_written_is_read_again(codec: Codec, body: Any, value: Any) -> None:
    bound = codec.bind(body, TypeAdapter(body))
    again = bound.decode(bound.encode(value))
    assert again == value
    assert type(again) is type(value)


orders = st.builds(
    Order,
    number=st.integers(-(2**63), 2**63 - 1),
    customer=st.none() | st.text(),
    lines=st.lists(st.builds(Line, sku=st.text(), count=st.integers(0, 9))),
    by_sku=st.dictionaries(st.text(), st.builds(Line, sku=st.text())),
    colors=st.sets(st.sampled_from(Color)),
    total=st.decimals(allow_nan=False, allow_infinity=False),
    weight=st.floats(allow_nan=False, allow_infinity=False),
    placed=st.datetimes(
        min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
    ),
    due=st.dates(),
    at=st.times(),
    within=st.timedeltas(timedelta(days=-1000), timedelta(days=1000)),
    id=st.uuids(),
    picture=st.text().map(str.encode),
    pair=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    gift=st.booleans(),
    theNote=st.text(),
)


@codecs
@settings(max_examples=40)
@given(order=orders)
def test_any_order_is_read_again(codec: Codec, order: Order) -> None:
    bound = codec.bind(Order, TypeAdapter(Order))
    assert bound.decode(bound.encode(order)) == order


@codecs
def test_a_change_comes_before_the_validation(codec: Codec) -> None:
    bound = codec.bind(Line, TypeAdapter(Line))
    seen: list[Any] = []

    def change(plain: Any) -> Any:
        seen.append(dict(plain))
        return {"sku": "b", "count": "4"}

    changed = bound.decode(bound.encode(Line(sku="a", count=3)), change)
    assert (seen, changed) == ([{"sku": "a", "count": 3}], Line(sku="b", count=4))
