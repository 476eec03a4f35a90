"""Few bytes of Avro that stand for very much, or that would end the process."""

import contextlib
import json
import tracemalloc
from time import perf_counter
from typing import Any

import pytest
from fastavro.utils import generate_many
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dispytch.exceptions import ConfigurationError, DecodeError
from dispytch.serialization import AvroCodec, Limits, Schema
from dispytch.serialization.formats.varints import written_number

ANY = TypeAdapter[Any](Any)
EMPTY = {"type": "record", "name": "Empty", "fields": []}
NOTHING = {"type": "fixed", "name": "Nothing", "size": 0}
NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
TREE = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "twigs", "type": {"type": "array", "items": "Tree"}}],
}
MAP = {
    "type": "record",
    "name": "Maps",
    "fields": [{"name": "held", "type": {"type": "map", "values": "Maps"}}],
}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}
MANY = written_number(2**50) + b"\0"


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def record(name: str, *types: Any) -> dict[str, Any]:
    fields = [{"name": f"f{index}", "type": one} for index, one in enumerate(types)]
    return {"type": "record", "name": name, "fields": fields}


def read(schema: Any, data: bytes, limits: Limits | None = None) -> Any:
    codec = AvroCodec() if limits is None else AvroCodec(limits=limits)
    body = codec.bind_schema(Any, ANY)
    return body.read_alone(data, codec.parsed(Schema("AVRO", json.dumps(schema), "it")))


def refusal(schema: Any, data: bytes) -> str:
    """What is said of it; it must neither take long nor take much."""
    tracemalloc.start()
    before = perf_counter()
    try:
        with pytest.raises(DecodeError) as caught:
            read(schema, data)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000 + 20 * len(data)
        assert perf_counter() - before < 10
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (array("null"), MANY),
        (array(EMPTY), MANY),
        (array(NOTHING), MANY),
        (array(record("Wrap", EMPTY, "null", NOTHING)), MANY),
        (array({"type": "null"}), MANY),
        (array("null"), written_number(-(2**50)) + written_number(0) + b"\0"),
        (array(array("null")), written_number(1) + MANY + b"\0"),
        ({"type": "map", "values": array("null")}, written_number(1) + b"\0" + MANY + b"\0"),
        (record("Holder", "string", array("null")), b"\2a" + MANY),
        (["null", array("null")], b"\2" + MANY),
        ([EMPTY, array("Empty")], b"\2" + MANY),
        (array("null"), (written_number(600_000)) * 2 + b"\0"),
        (array(array("null")), written_number(3) + (written_number(400_000) + b"\0") * 3 + b"\0"),
        (array(record("Wide", *["null"] * 50)), written_number(900_000) + b"\0"),
    ],
)
def test_values_without_bytes_are_bounded(schema: Any, data: bytes) -> None:
    said = refusal(schema, data)
    assert "items that take no bytes, and at most 100000 are read" in said
    assert "AvroCodec(limits=Limits(values=...)) allows more" in said


def test_records_that_double_each_other_are_bounded() -> None:
    types: list[Any] = ["null"]
    for number in range(40):
        types.append(record(f"R{number}", types[-1], types[-1] if number < 1 else f"R{number - 1}"))
    assert "items that take no bytes" in refusal(types[-1], b"")


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (NODE, b"\2" * 1_000_000 + b"\0"),
        (NODE, b"\2" * 201 + b"\0"),
        (array(NODE), b"\2" * 10_000 + b"\0"),
        (TREE, b"\2" * 100_000 + b"\0" * 100_000),
        (MAP, b"\2\0" * 100_000 + b"\0" * 100_000),
        (["null", record("Outer", NODE)], b"\2" * 50_000 + b"\0"),
    ],
)
def test_values_within_each_other_are_bounded(schema: Any, data: bytes) -> None:
    said = refusal(schema, data)
    assert "more than 200 values within each other" in said
    assert "AvroCodec(limits=Limits(depth=...)) allows more" in said


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (DECIMAL, written_number(1_000_000) + b"\x7f" * 1_000_000),
        (
            record("Priced", "string", ["null", DECIMAL]),
            b"\0\2" + written_number(100_000) + b"\x7f" * 100_000,
        ),
        (
            {"type": "fixed", "name": "F", "size": 50_000}
            | {"logicalType": "decimal"}
            | {"precision": 9},
            b"\x7f" * 50_000,
        ),
    ],
)
def test_decimals_are_bounded(schema: Any, data: bytes) -> None:
    assert "and at most 1024 are read" in refusal(schema, data)


@pytest.mark.parametrize(
    "schema",
    [
        record("Endless", "Endless"),
        record("A", record("B", "A")),
        array(record("Within", "null", "Within")),
    ],
)
def test_a_schema_whose_values_have_no_end_is_refused(schema: Any) -> None:
    assert "cannot be understood" in refusal(schema, b"\2\0")
    with pytest.raises(ConfigurationError, match="has no end"):
        AvroCodec({int: schema})


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"type":"array","items":' * 500 + '"null"' + "}" * 500, "", "{}", "7", "null"],
)
def test_a_schema_that_makes_no_sense_is_undecodable(text: str) -> None:
    with pytest.raises(DecodeError, match="the writer's Avro schema cannot be understood"):
        AvroCodec().parsed(Schema("AVRO", text, "it"))


def test_a_long_chain_of_names_is_refused() -> None:
    chain: list[Any] = [record("R0", "null")]
    chain += [record(f"R{number}", f"R{number - 1}") for number in range(1, 5000)]
    # Whether the schema or the body is refused: nothing goes deeper than the stack.
    assert refusal(chain, written_number(4999))


def test_what_is_within_the_limits_is_read() -> None:
    assert read(array("null"), written_number(1000) + b"\0") == [None] * 1000
    assert read(array(EMPTY), b"\6\0") == [{}] * 3
    assert read(NODE, b"\2" * 150 + b"\0")
    assert read(DECIMAL, b"\2\5") is not None
    assert read(array("null"), b"\4\0", Limits(values=2)) == [None, None]
    with pytest.raises(DecodeError, match="3 items that take no bytes, and at most 2 are read"):
        read(array("null"), b"\6\0", Limits(values=2))
    with pytest.raises(DecodeError, match="more than 3 values within each other"):
        read(NODE, b"\2\2\2\0", Limits(depth=3))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", None])
@pytest.mark.parametrize("name", ["depth", "values"])
def test_limits_that_make_no_sense(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"Limits: {name} must be a whole number from 1"):
        Limits(**{name: value})


leaves = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
risky = st.recursive(
    leaves,
    lambda inner: (
        inner.map(array)
        | inner.map(lambda one: {"type": "map", "values": one})
        | st.lists(leaves, min_size=1, max_size=3, unique=True)
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(risky)
def test_a_look_changes_nothing_at_what_is_within_the_limits(inner: Any) -> None:
    schema = {
        "type": "record",
        "name": "Root",
        "fields": [
            {"name": "nulls", "type": array("null")},
            {"name": "inner", "type": inner},
            {"name": "more", "type": ["null", "Root"]},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a", "b"]}},
            {"name": "mark", "type": {"type": "fixed", "name": "Mark", "size": 3}},
        ],
    }
    value = next(iter(generate_many(schema, 1)))
    written = AvroCodec({dict: schema}).bind_schema(dict, ANY).write_alone(value)
    parsed = AvroCodec().parsed(Schema("AVRO", json.dumps(schema), "Root"))
    assert parsed.check is not None
    parsed.check(written)


@settings(deadline=None)
@given(risky, st.binary(max_size=200))
def test_whatever_comes_is_read_or_undecodable(inner: Any, data: bytes) -> None:
    schema = record("Root", array("null"), inner, ["null", "Root"])
    with contextlib.suppress(DecodeError):
        read(schema, data)
