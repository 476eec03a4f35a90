"""Protocol Buffers."""

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from dispytch.exceptions import BodyInvalid, ConfigurationError, DecodeError, EncodeError
from dispytch.serialization import BodyCodec, ProtobufCodec

from . import messages


class Color(Enum):
    RED = "red"
    DARK_BLUE = "dark-blue"


class Money(BaseModel):
    amount: Decimal
    currency: str = "EUR"


@dataclass
class Line:
    sku: str
    count: int = 0


class Order(BaseModel):
    number: int
    customer: str | None = None
    lines: list[Line] = Field(default_factory=list[Line])
    by_sku: dict[str, Line] = Field(default_factory=dict[str, Line])
    total: Money | None = None
    weight: float = 0.0
    placed: datetime | None = None
    within: timedelta | None = None
    id: UUID = UUID(int=0)
    picture: bytes = b""
    gift: bool = False
    note: Annotated[str | None, Field(alias="theNote")] = None
    extra: dict[str, Any] = Field(default_factory=dict[str, Any])
    names: dict[int, str] = Field(default_factory=dict[int, str])
    tags: set[str] = Field(default_factory=set[str])


ORDER = Order(
    number=-7,
    customer="",
    lines=[Line("a"), Line("b", 2)],
    by_sku={"a": Line("a", 1)},
    total=Money(amount=Decimal("12.50")),
    weight=0.1,
    placed=datetime(2025, 6, 1, 12, 0, 0, 123456, tzinfo=UTC),
    within=timedelta(days=1, microseconds=3),
    id=UUID(int=9),
    picture=b"\xff\x00",
    gift=True,
    theNote="",
    extra={"a": [1.0, None, {"b": True}]},
    names={-1: "x", 2: ""},
    tags={"new"},
)


def bound(body: Any, message: Any = messages.Order) -> BodyCodec:
    return ProtobufCodec({body: message}).bind(body, TypeAdapter(body))


def test_every_kind_of_field_is_written_and_read_again() -> None:
    codec = bound(Order)
    assert codec.decode(codec.encode(ORDER)) == ORDER
    assert codec.decode(codec.encode(Order(number=1))) == Order(number=1)


def test_others_read_what_is_written() -> None:
    read = messages.Order.FromString(bound(Order).encode(ORDER))
    assert (read.number, read.lines[1].count, read.by_sku["a"].count) == (-7, 2, 1)
    assert (read.HasField("customer"), read.the_note.value) == (True, "")
    assert read.total.amount == "12.50"
    assert read.placed.ToDatetime(UTC) == ORDER.placed
    assert read.names[-1] == "x"


@given(
    st.builds(
        Order,
        number=st.integers(-(2**63), 2**63 - 1),
        customer=st.none() | st.text(),
        lines=st.lists(st.builds(Line, st.text(), st.integers(-(2**31), 2**31 - 1))),
        placed=st.none()
        | st.datetimes(
            min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)
        ),
        within=st.none() | st.timedeltas(timedelta(days=-3000000), timedelta(days=3000000)),
        id=st.uuids(),
        picture=st.binary(),
        names=st.dictionaries(st.integers(-(2**31), 2**31 - 1), st.text()),
        tags=st.sets(st.text()),
        weight=st.floats(allow_nan=False),
    )
)
def test_any_order_is_read_again(order: Order) -> None:
    codec = bound(Order)
    assert codec.decode(codec.encode(order)) == order


class Address(TypedDict):
    amount: str
    currency: str


@dataclass
class Wallet:
    amount: str
    tags: list[str] = field(default_factory=list[str])


@pytest.mark.parametrize("body", [Address, Money])
def test_typed_dicts_and_models(body: Any) -> None:
    codec, value = bound(body, messages.Money), {"amount": "1", "currency": "EUR"}
    made = TypeAdapter(body).validate_python(value)
    assert codec.decode(codec.encode(made)) == made


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    by_sku: dict[str, Line]
    the_note: str


def test_aliases_are_the_names_of_protobufs_json() -> None:
    codec, body = bound(Camel), Camel(bySku={"a": Line("a")}, theNote="x")
    assert codec.decode(codec.encode(body)) == body


class Colored(BaseModel):
    color: Color


class Numbered(BaseModel):
    color: int


class Named(BaseModel):
    color: str


def test_an_enum_goes_by_name_or_number() -> None:
    written = bound(Colored).encode(Colored(color=Color.DARK_BLUE))
    assert messages.Order.FromString(written).color == 2
    assert bound(Named).encode(Named(color="DARK_BLUE")) == written
    assert bound(Numbered).encode(Numbered(color=2)) == written
    assert bound(Named).decode(written) == Named(color="DARK_BLUE")
    with pytest.raises(EncodeError, match=r"color: acme.shop.Color has no value 'GREEN'; it has: "):
        bound(Named).encode(Named(color="GREEN"))


def test_a_message_is_a_body_as_it_is() -> None:
    codec = ProtobufCodec().bind(messages.Money, TypeAdapter(Any))
    money = messages.Money(amount="1", currency="EUR")
    assert codec.decode(codec.encode(money)) == money
    assert isinstance(codec.decode(b""), messages.Money)


class Unknown(BaseModel):
    unheard_of: int = 1


def test_a_field_that_the_message_lacks_is_refused_and_named() -> None:
    with pytest.raises(EncodeError) as caught:
        bound(Unknown, messages.Money).encode(Unknown())
    assert "acme.shop.Money has no field 'unheard_of'; its fields are: amount, currency" in str(
        caught.value
    )


@pytest.mark.parametrize(
    "wrong",
    [
        Order(number=2**63),
        Order(number=1, placed=datetime(2025, 1, 1)),
        Order(number=1, lines=[Line("a", 2**40)]),
    ],
)
def test_values_that_do_not_fit_are_told(wrong: Order) -> None:
    with pytest.raises(EncodeError, match="Order cannot be written as Protobuf: "):
        bound(Order).encode(wrong)


def test_bytes_that_are_no_message() -> None:
    with pytest.raises(DecodeError, match=r"the bytes are no acme.shop.Order"):
        bound(Order).decode(b"\xff\xff")


class Strict(BaseModel):
    amount: Annotated[str, Field(min_length=3)]
    currency: str


def test_a_body_that_is_refused() -> None:
    with pytest.raises(BodyInvalid, match="amount: String should have at least 3 characters"):
        bound(Strict, messages.Money).decode(b"")


def test_a_body_without_a_message_class_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ProtobufCodec().bind(Money, TypeAdapter(Money))
    assert "ProtobufCodec({Money: MoneyMessage})" in str(caught.value)
    with pytest.raises(ConfigurationError, match="needs a class that protoc generates"):
        ProtobufCodec({Money: Money})


def test_a_change_comes_before_the_validation() -> None:
    written = bound(Money, messages.Money).encode(Money(amount=Decimal(1)))
    seen = bound(Strict, messages.Money).decode(written, lambda plain: plain | {"amount": "100"})
    assert seen == Strict(amount="100", currency="EUR")


def test_a_missing_distribution_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf.json_format", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dispytch-core\[protobuf\]'"):
        ProtobufCodec()
