"""The JSON codec, and how a codec is chosen."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, Json, TypeAdapter, field_validator
from typing_extensions import TypedDict

from dispytch.exceptions import BodyInvalid, DecodeError, EncodeError
from dispytch.serialization import Codec, Codecs, JsonCodec

CODEC = JsonCodec()
ANY: TypeAdapter[Any] = TypeAdapter(Any)


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Owner(BaseModel):
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]
    money: Decimal
    born: datetime
    id: UUID
    raw: bytes
    shoe_size: float | None = Field(alias="shoeSize")


OWNER: TypeAdapter[Owner] = TypeAdapter(Owner)


@dataclass
class Point:
    x: int
    y: float


class Options(TypedDict, total=False):
    depth: int
    tags: set[str]


class Loose(BaseModel):
    value: Any


text = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
owners = st.builds(
    Owner,
    pets=st.lists(st.builds(Cat, lives=st.integers()) | st.builds(Dog, name=text), max_size=3),
    money=st.decimals(allow_nan=False, allow_infinity=False),
    born=st.datetimes(timezones=st.just(UTC)),
    id=st.uuids(),
    raw=text.map(str.encode),
    shoeSize=st.none() | finite,
)


def returned(adapter: TypeAdapter[Any], body: Any) -> Any:
    return CODEC.decode(adapter, CODEC.encode(adapter, body))


@given(json_values)
def test_plain_data_comes_back(value: Any) -> None:
    assert returned(ANY, value) == value


@given(owners)
def test_models_come_back(owner: Owner) -> None:
    assert returned(OWNER, owner) == owner


@given(st.builds(Point, st.integers(), finite), st.dictionaries(st.just("depth"), st.integers()))
def test_any_type_that_pydantic_knows_comes_back(point: Point, options: Options) -> None:
    assert returned(TypeAdapter(Point), point) == point
    assert returned(TypeAdapter(Options), options) == options
    assert returned(TypeAdapter(tuple[int, Point]), (1, point)) == (1, point)
    assert returned(TypeAdapter(set[int]), {1, 2}) == {1, 2}


def test_writes_by_alias() -> None:
    owner = Owner(pets=[], money=Decimal("1.10"), born=datetime(2020, 1, 1), id=UUID(int=0),
                  raw=b"x", shoeSize=4.5)  # fmt: skip
    assert CODEC.encode(OWNER, owner) == (
        b'{"pets":[],"money":"1.10","born":"2020-01-01T00:00:00",'
        b'"id":"00000000-0000-0000-0000-000000000000","raw":"x","shoeSize":4.5}'
    )


def test_no_bytes_at_all_read_as_null() -> None:
    assert CODEC.decode(TypeAdapter(Dog | None), b"") is None
    assert CODEC.decode(ANY, b"") is None
    with pytest.raises(BodyInvalid):
        CODEC.decode(TypeAdapter(Dog), b"")


@pytest.mark.parametrize("written", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_json_lacks_are_read(written: bytes) -> None:
    number = CODEC.decode(TypeAdapter(float), written)
    assert math.isnan(number) or number == float(written)


def test_how_they_are_written_is_the_models_choice() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(ser_json_inf_nan="constants")

        value: float

    assert CODEC.encode(TypeAdapter(Loose), Loose(value=math.inf)) == b'{"value":null}'
    assert returned(TypeAdapter(Strict), Strict(value=math.inf)) == Strict(value=math.inf)


def circle() -> Loose:
    loose = Loose(value=None)
    loose.value = loose
    return loose


def nest(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (Loose(value=object()), "Unable to serialize unknown type: <class 'object'>"),
        (Loose(value=b"\xff"), "invalid utf-8"),
        (Loose(value="\ud800"), "surrogates not allowed"),
        (circle(), "Circular reference"),
        (Loose(value=nest(100_000)), "depth exceeded"),
    ],
    ids=["object", "bytes", "surrogate", "circle", "depth"],
)
def test_what_cannot_be_written_names_the_body_and_the_reason(body: Loose, reason: str) -> None:
    with pytest.raises(EncodeError, match=r"^Loose cannot be written as JSON: ") as caught:
        CODEC.encode(TypeAdapter(Loose), body)
    assert reason in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "data",
    [b"{", b"\xff\xfe", b'"\xc3\x28"', b"{'a': 1}", b"[" * 100_000, b"1 2", b'"\\ud800"', b" "],
)
def test_bytes_that_are_not_json(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^the bytes are not JSON: Invalid JSON: "):
        CODEC.decode(ANY, data)


def test_a_body_that_does_not_validate_says_where() -> None:
    with pytest.raises(BodyInvalid) as caught:
        CODEC.decode(TypeAdapter(Dog), b'{"kind":"dog","name":5}')
    assert str(caught.value) == "the body is refused: name: Input should be a valid string"


def test_many_complaints_are_cut_and_no_value_is_shown() -> None:
    with pytest.raises(BodyInvalid) as caught:
        CODEC.decode(TypeAdapter(list[int]), b'["secret","b","c","d","e","f","g"]')
    assert str(caught.value).endswith("; and 2 more")
    assert "secret" not in str(caught.value)


def test_json_within_the_body_is_the_bodys_fault() -> None:
    class Wrapping(BaseModel):
        inner: Json[int]

    with pytest.raises(BodyInvalid, match="inner"):
        CODEC.decode(TypeAdapter(Wrapping), b'{"inner":"{"}')


def test_a_validator_that_fails_is_the_bodys_fault() -> None:
    class Careless(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _known(cls, name: str) -> str:
            return {"a": "b"}[name]

    assert CODEC.decode(TypeAdapter(Careless), b'{"name":"a"}') == Careless.model_construct(
        name="b"
    )
    with pytest.raises(
        BodyInvalid, match="a validator of the body failed: KeyError in _known, line"
    ):
        CODEC.decode(TypeAdapter(Careless), b'{"name":"z"}')


class Reversed(JsonCodec):
    """A codec of somebody else."""

    content_type = "application/x-reversed"
    reads = ("text/reversed",)


@pytest.mark.parametrize(
    ("content_type", "codec"),
    [
        ("application/json", JsonCodec),
        ("Application/JSON; charset=utf-8", JsonCodec),
        ("text/json", JsonCodec),
        ("application/vnd.acme.order+json;v=2", JsonCodec),
        ("application/problem+JSON", JsonCodec),
        ("application/x-reversed", Reversed),
        ("text/reversed", Reversed),
        ("application/vnd.acme+x-reversed", Reversed),
    ],
)
def test_a_codec_is_found_by_content_type(content_type: str, codec: type[Codec]) -> None:
    codecs = Codecs([Reversed(), JsonCodec()])
    assert isinstance(codecs.writer, Reversed)
    for _ in range(2):  # found, then remembered
        assert type(codecs.reading(content_type)) is codec


@pytest.mark.parametrize("content_type", ["text/plain", "", "json", "application/json-patch"])
def test_an_unknown_content_type_names_those_there_are(content_type: str) -> None:
    with pytest.raises(DecodeError) as caught:
        Codecs([JsonCodec(), Reversed()]).reading(content_type)
    assert str(caught.value) == (
        f"no codec reads the content type {content_type!r}; "
        "there are: application/json, application/x-reversed"
    )


def test_content_types_without_end_are_not_all_remembered() -> None:
    codecs = Codecs()
    for number in range(1000):
        assert codecs.reading(f"application/json; number={number}") is codecs.writer
    assert len(codecs._by_type) == 256
