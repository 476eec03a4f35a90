"""Avro."""

import json
import sys
from datetime import UTC, datetime, time
from decimal import Decimal
from enum import Enum
from io import BytesIO
from typing import Annotated, Any, Literal, NotRequired

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime, TypeAdapter
from typing_extensions import TypedDict

from dispytch.exceptions import BodyInvalid, ConfigurationError, DecodeError, EncodeError
from dispytch.serialization import AvroCodec, BodyCodec


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    name: str


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Owner(BaseModel):
    """Who keeps pets."""

    id: int
    email: str | None = None
    color: Color = Color.RED
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = Field(default_factory=list)
    since: datetime | None = None
    local: NaiveDatetime | None = None
    paid: Annotated[Decimal, Field(max_digits=8, decimal_places=2)] = Decimal("0.00")
    score: float = 1


CAT, DOG = ({"type": "string", "const": kind} for kind in ("cat", "dog"))
OWNER: dict[str, Any] = {
    "type": "record",
    "name": "acme.Owner",
    "doc": "Who keeps pets.",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "email", "type": ["null", "string"], "default": None},
        {
            "name": "color",
            "type": {"type": "enum", "symbols": ["red", "blue"], "name": "acme.Color"},
            "default": "red",
        },
        {
            "name": "pets",
            "type": {
                "type": "array",
                "items": [
                    {
                        "type": "record",
                        "name": "acme.Cat",
                        "fields": [
                            {
                                "name": "kind",
                                "type": {"type": "string", "const": "cat"},
                                "default": "cat",
                            },
                            {"name": "name", "type": "string"},
                        ],
                    },
                    {
                        "type": "record",
                        "name": "acme.Dog",
                        "fields": [
                            {
                                "name": "kind",
                                "type": {"type": "string", "const": "dog"},
                                "default": "dog",
                            },
                            {"name": "name", "type": "string"},
                        ],
                    },
                ],
            },
            "default": [],
        },
        {
            "name": "since",
            "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
            "default": None,
        },
        {
            "name": "local",
            "type": ["null", {"type": "long", "logicalType": "local-timestamp-micros"}],
            "default": None,
        },
        {
            "name": "paid",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2},
        },
        {"name": "score", "type": "double", "default": 1.0},
    ],
}


def bound(body: Any, codec: AvroCodec | None = None) -> BodyCodec:
    return (codec or AvroCodec()).bind(body, TypeAdapter(body))


def derived(body: Any) -> Any:
    codec = AvroCodec(namespace="acme")
    return json.loads(codec.bind_schema(body, TypeAdapter(body)).schema.text)


def test_a_schema_is_derived_from_a_model() -> None:
    assert derived(Owner) == OWNER


def test_each_member_of_a_union_is_written_as_itself() -> None:
    owner = Owner(id=1, pets=[Dog(name="Rex"), Cat(name="Tom")])
    data = bound(Owner).encode(owner)[10:]
    schema = fastavro.parse_schema(OWNER | {"name": "Owner"})
    read: Any = fastavro.schemaless_reader(BytesIO(data), schema, None, return_record_name=True)
    assert [name for name, _ in read["pets"]] == ["acme.Dog", "acme.Cat"]


@given(st.integers(-(2**63), 2**63 - 1), st.none() | st.text(), st.sampled_from(Color))
def test_fastavro_reads_and_writes_the_same(number: int, email: str | None, color: Color) -> None:
    codec, owner = bound(Owner), Owner(id=number, email=email, color=color)
    data = codec.encode(owner)
    schema = fastavro.parse_schema(OWNER)
    plain: Any = fastavro.schemaless_reader(BytesIO(data[10:]), schema, None)
    assert plain["color"] == color.value
    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, schema, plain)
    assert data[10:] == buffer.getvalue()
    assert codec.decode(data) == owner


def test_the_single_object_encoding_is_that_of_the_specification() -> None:
    # The fingerprint of "int" is 0x7275d51a3f395c8f, and stands there with its last byte first.
    assert bound(int, AvroCodec({int: "int"})).encode(3) == bytes.fromhex(
        "c301 8f5c393f1ad57572 06"
    )
    assert bound(int, AvroCodec(single_object=False)).encode(3) == b"\x06"


class Name(BaseModel):
    name: str


def test_what_others_have_written_is_read_by_a_schema_that_is_known() -> None:
    data = bound(Cat).encode(Cat(name="Tom"))
    with pytest.raises(DecodeError, match=r"not known here: .* in AvroCodec\(knows=\[...\]\)"):
        bound(Name).decode(data)
    assert bound(Name, AvroCodec(knows=[Cat])).decode(data) == Name(name="Tom")
    assert bound(Any, AvroCodec(knows=[Cat])).decode(data) == {"kind": "cat", "name": "Tom"}


GIVEN = {
    "type": "record",
    "name": "Cat",
    "fields": [
        {"name": "full_name", "aliases": ["name"], "type": "string"},
        {"name": "lives", "type": "long", "default": 9},
    ],
}


class Given(BaseModel):
    full_name: str
    lives: int


def test_a_schema_that_is_given_is_read_by_as_avro_resolves_it() -> None:
    codec = AvroCodec({Given: GIVEN}, knows=[Cat])
    data = bound(Cat).encode(Cat(name="Tom"))
    assert bound(Given, codec).decode(data) == Given(full_name="Tom", lives=9)
    again = bound(Given, codec)
    assert again.decode(again.encode(Given(full_name="x", lives=1))) == Given(
        full_name="x", lives=1
    )
    body = codec.bind_schema(Given, TypeAdapter(Given))
    assert (json.loads(body.schema.text), body.schema.name) == (GIVEN, "Cat")


class Optional(TypedDict):
    x: NotRequired[int]


class Wild(BaseModel):
    inner: list[Any]


class Clash(BaseModel):
    one: str | bytes | Literal["x"] | datetime | AwareDatetime
    two: list[int] | tuple[str, ...]


class Hyphen(BaseModel):
    user_id: int = Field(alias="user-id")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (Optional, "Optional: x may be left away"),
        (Wild, r"Wild: inner\[\] is of any type"),
        (Clash, "Clash: two is a union with two kinds of array"),
        (Hyphen, "Hyphen: user-id has a name that Avro cannot have"),
    ],
)
def test_what_avro_has_nothing_for_is_refused_with_the_place(body: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no Avro schema can be derived from {text}"):
        bound(body)


class Timed(BaseModel):
    at: datetime


@pytest.mark.parametrize(
    ("body", "value", "text"),
    [
        (Timed, Timed(at=datetime(2025, 1, 1)), "has no zone"),
        (time, time(1, tzinfo=UTC), "has a zone"),
        (int, 2**70, "cannot be written as Avro"),
        (Any, 1, "Avro needs a schema"),
    ],
)
def test_values_that_avro_cannot_hold_are_told(body: Any, value: Any, text: str) -> None:
    with pytest.raises(EncodeError, match=text):
        bound(body).encode(value)


@given(st.binary())
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    head = bound(Owner).encode(Owner(id=1))[:10]
    for some in (data, head + data):
        try:
            assert isinstance(bound(Owner).decode(some), Owner)
        except (DecodeError, BodyInvalid):
            continue


def test_bytes_that_are_left_over_are_an_error() -> None:
    with pytest.raises(DecodeError, match="1 are left over"):
        bound(int).decode(bound(int).encode(3) + b"\x00")


def test_no_bytes_are_null() -> None:
    assert bound(int | None).decode(b"") is None


def test_a_schema_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="cannot be understood"):
        AvroCodec({Cat: {"type": "record", "name": "Cat", "fields": [{"name": "x", "type": "?"}]}})


def test_a_missing_distribution_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastavro", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dispytch-core\[avro\]'"):
        AvroCodec()
