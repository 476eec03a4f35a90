"""Validation that stops at the first fault of a collection, and is the same for what is valid."""

import resource
import time
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from dispytch.exceptions import BodyInvalid, DecodeError
from dispytch.serialization import JsonCodec
from dispytch.serialization.adapters import adapter_of
from dispytch.serialization.validation import validated

T = TypeVar("T")


class Small(BaseModel):
    a: int
    kind: Literal["small"] = "small"


class Large(BaseModel):
    a: int
    b: str
    kind: Literal["large"] = "large"


class Tree(BaseModel):
    type: str = "list"
    children: list["Tree"] = []
    extra: dict[str, Any] = Field(default={"type": "list"})


class Box(BaseModel, Generic[T]):
    items: list[T]


class Typed(TypedDict):
    type: list[int]


@dataclass
class Plain:
    items: set[int]
    pairs: dict[str, tuple[int, ...]]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = 0


EVERY_TYPE: list[Any] = [
    list[int],
    dict[str, int],
    list[Small | Large],
    list[Annotated[Small | Large, Field(discriminator="kind")]],
    Tree,
    Box[Small],
    Typed,
    Plain,
    frozenset[int],
    deque[int],
    tuple[int, str],
    list[list[dict[str, list[int]]]],
]

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b", "kind", "type", "items", "pairs", "children"]), inner
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", EVERY_TYPE, ids=str)
@given(value=values)
def test_what_is_valid_is_validated_as_ever(kind: Any, value: Any) -> None:
    try:
        expected = TypeAdapter(kind).validate_python(value)
    except ValidationError:
        with pytest.raises(ValidationError):
            adapter_of(kind).validate_python(value)
    else:
        assert adapter_of(kind).validate_python(value) == expected


def test_a_default_of_the_program_s_own_is_left_alone() -> None:
    adapter = adapter_of(Tree)
    assert adapter.validate_python({}).extra == {"type": "list"}
    assert Tree().extra == {"type": "list"}


MEGABYTE = 1_000_000
WRONG = {
    "list[int]": (list[int], b'["a"' + b',"a"' * (MEGABYTE // 4) + b"]"),
    "list of a union": (list[Small | Large], b"[{}" + b",{}" * (MEGABYTE // 3) + b"]"),
    "a model with such a list": (
        Box[Small | Large],
        b'{"items":[1' + b",1" * (MEGABYTE // 2) + b"]}",
    ),
    "dict": (dict[str, int], b'{"":[]' + b',"":[]' * (MEGABYTE // 6) + b"}"),
    "keys that are not allowed": (
        Closed,
        b"{%s}" % b",".join(b'"%d":1' % number for number in range(MEGABYTE // 10)),
    ),
    "a huge key": (dict[str, int], b'{"%s":[]}' % (b"k" * MEGABYTE)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_megabyte_that_is_wrong_costs_no_more_than_one_that_is_right(name: str) -> None:
    kind, data = WRONG[name]
    bound = JsonCodec().bind(kind, adapter_of(kind))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(BodyInvalid) as refused:
        bound.decode(data)
    spent = time.process_time() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert spent < 0.5, f"{spent:.2f} s"
    assert grown < 60, f"{grown:.0f} MB"
    assert len(str(refused.value)) < 1100
    assert refused.value.__cause__ is refused.value.__context__ is None


@pytest.mark.parametrize("item", [{}, 1])
def test_plain_data_is_refused_as_fast(item: object) -> None:
    plain = [item] * 100_000
    began = time.process_time()
    with pytest.raises(BodyInvalid):
        validated(adapter_of(list[Small | Large]), plain)
    assert time.process_time() - began < 0.5


def test_a_validator_s_own_words_and_the_values_are_not_told() -> None:
    class Secretive(BaseModel):
        kind: Literal["a"]
        number: Annotated[int, Field(gt=5)]

        def model_post_init(self, context: Any) -> None:
            raise ValueError(f"never {self.number}")

    with pytest.raises(BodyInvalid) as refused:
        JsonCodec().decode(adapter_of(Secretive), b'{"kind":"a","number":777}')
    assert str(refused.value) == "the body is refused: value_error"
    with pytest.raises(BodyInvalid) as refused:
        JsonCodec().decode(adapter_of(Secretive), b'{"kind":"hunter2","number":1}')
    assert str(refused.value) == (
        "the body is refused: kind: Input should be 'a'; number: Input should be greater than 5"
    )


def test_a_tag_and_a_key_are_told_escaped_and_cut_or_not_at_all() -> None:
    tagged = adapter_of(Annotated[Small | Large, Field(discriminator="kind")])
    with pytest.raises(BodyInvalid) as refused:
        JsonCodec().decode(tagged, b'{"kind":"hunter2"}')
    assert str(refused.value) == "the body is refused: union_tag_invalid"
    with pytest.raises(BodyInvalid) as refused:
        JsonCodec().decode(adapter_of(dict[str, int]), b'{"a\\n\\u001b[31m%s":[]}' % (b"k" * 500))
    assert str(refused.value).startswith(r"the body is refused: a\n\x1b[31mkkk")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf"])
def test_a_byte_order_mark_before_json_is_read(mark: bytes) -> None:
    codec, adapter = JsonCodec(), adapter_of(Small)
    assert codec.decode(adapter, mark + b'{"a":1}') == Small(a=1)
    assert codec.bind(Small, adapter).decode(mark + b'{"a":1}') == Small(a=1)
    with pytest.raises(BodyInvalid):
        codec.decode(adapter, mark + b'{"a":"x"}')
    with pytest.raises(DecodeError):
        codec.decode(adapter, mark + mark + b'{"a":1}')
