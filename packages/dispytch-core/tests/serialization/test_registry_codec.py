"""Bodies in Confluent's wire format, without a registry server: Confluent's own serializers."""

import json
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema as ConfluentSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from dispytch.exceptions import ConfigurationError, DecodeError, SchemaRefused
from dispytch.serialization import (
    AvroCodec,
    BodyCodec,
    JsonCodec,
    MemoryRegistry,
    MessagePackCodec,
    ProtobufCodec,
    RegistryCodec,
    Schema,
    SchemaRegistry,
    Unresolved,
    record_subject,
    resolved,
    topic_record_subject,
)
from dispytch.serialization.formats.varints import read_indexes, written_indexes

from . import messages

VALUE = SerializationContext("orders", MessageField.VALUE)


class Money(BaseModel):
    amount: str
    currency: str = "EUR"


class Line(BaseModel):
    sku: str
    count: int = 0


MONEY = Money(amount="12.50")
PROTOBUF = ProtobufCodec({Money: messages.Money, Line: messages.Line})


class Confluent(SchemaRegistry):
    """A registry that shares what it knows with Confluent's own client, which is a mock one."""

    def __init__(self) -> None:
        self.client = SchemaRegistryClient.new_client({"url": "mock://shared"})

    async def register(self, subject: str, schema: Schema) -> int:
        return self.client.register_schema(subject, ConfluentSchema(schema.text, schema.kind))

    async def look_up(self, subject: str, schema: Schema) -> int:
        raise SchemaRefused("never asked")

    async def text(self, schema_id: int) -> str:
        return str(self.client.get_schema(schema_id).schema_str)


def bound(codec: RegistryCodec, body: Any = Money) -> BodyCodec:
    return codec.bind(body, TypeAdapter(body)).for_topic("orders")


async def written(codec: RegistryCodec, value: Any) -> bytes:
    body = bound(codec, type(value))
    with pytest.raises(Unresolved) as caught:
        body.encode(value)
    data = await resolved(lambda: body.encode(value), caught.value)
    assert body.encode(value) == data, "asked once"
    return data


async def read(codec: RegistryCodec, data: bytes, body: Any = Money) -> Any:
    one = codec.bind(body, TypeAdapter(body))
    try:
        return one.decode(data)
    except Unresolved as missing:
        found = await resolved(lambda: one.decode(data), missing)
        assert one.decode(data) == found, "asked once"
        return found


async def test_avro_is_the_same_as_confluents() -> None:
    registry = Confluent()
    ours = RegistryCodec(AvroCodec(), registry)
    schema = ours.codec.bind_schema(Money, TypeAdapter(Money)).schema.text
    theirs = AvroSerializer(registry.client, schema)
    data = await written(ours, MONEY)
    assert theirs(MONEY.model_dump(), VALUE) == data
    assert AvroDeserializer(registry.client)(data, VALUE) == MONEY.model_dump()
    fresh = RegistryCodec(AvroCodec(), registry)
    assert await read(fresh, data) == MONEY
    assert await read(RegistryCodec(AvroCodec(), registry), data, Any) == MONEY.model_dump()


async def test_json_is_read_both_ways() -> None:
    registry = Confluent()
    ours = RegistryCodec(JsonCodec(), registry)
    schema = ours.codec.bind_schema(Money, TypeAdapter(Money)).schema.text
    data = await written(ours, MONEY)
    theirs = JSONSerializer(schema, registry.client)(MONEY.model_dump(), VALUE)
    assert theirs is not None
    assert (theirs[:5], json.loads(theirs[5:])) == (data[:5], json.loads(data[5:]))
    assert JSONDeserializer(None, schema_registry_client=registry.client)(data, VALUE) == (
        MONEY.model_dump()
    )
    assert await read(ours, theirs) == MONEY


@pytest.mark.parametrize(
    ("value", "message"), [(MONEY, messages.Money), (Line(sku="a", count=2), messages.Line)]
)
async def test_protobuf_is_the_same_as_confluents(value: BaseModel, message: Any) -> None:
    registry = Confluent()
    ours = RegistryCodec(PROTOBUF, registry)
    options = {"use.deprecated.format": False, "auto.register.schemas": True}
    data = await written(ours, value)
    filled = message(**value.model_dump())
    theirs = ProtobufDeserializer(message, {"use.deprecated.format": False})(data, VALUE)
    assert theirs == filled
    if message is messages.Money:  # the other imports a file, which the mock cannot look up
        assert ProtobufSerializer(message, registry.client, options)(filled, VALUE) == data
    assert await read(ours, data, type(value)) == value
    assert data[5:6] == (b"\0" if message is messages.Money else b"\4")


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.binary())
def test_message_indexes_are_read_as_far_as_they_go(path: list[int], rest: bytes) -> None:
    head = written_indexes(path)
    assert read_indexes(head + rest) == len(head)


@pytest.mark.parametrize("data", [b"", b"\x04", b"\x02\x80", b"\x01", b"\x02" + b"\xff" * 11])
def test_message_indexes_that_are_none(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_indexes(data)


@pytest.mark.parametrize("data", [b"\x01\0\0\0\1x", b"\0\0\0", b"{}"])
async def test_a_body_without_the_head_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="does not begin with a zero and the id of a schema"):
        await read(RegistryCodec(AvroCodec(), MemoryRegistry()), data)


async def test_a_schema_that_nobody_knows_is_refused() -> None:
    with pytest.raises(DecodeError, match="no schema with the id 7"):
        await read(RegistryCodec(AvroCodec(), MemoryRegistry()), b"\0\0\0\0\7x")


async def test_a_tombstone_is_null() -> None:
    codec = RegistryCodec(PROTOBUF, MemoryRegistry())
    assert codec.bind(Money, TypeAdapter(Money | None)).decode(b"") is None


async def test_without_registering_a_schema_must_be_there() -> None:
    registry = MemoryRegistry()
    codec = RegistryCodec(AvroCodec(), registry, auto_register=False)
    with pytest.raises(SchemaRefused, match="the schema of Money is not registered under 'orders-"):
        await written(codec, MONEY)
    await written(RegistryCodec(AvroCodec(), registry), MONEY)
    assert await written(codec, MONEY) == await written(RegistryCodec(AvroCodec(), registry), MONEY)


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [
        ({}, "orders-value"),
        ({"subject": record_subject}, "acme.Money"),
        ({"subject": topic_record_subject}, "orders-acme.Money"),
        ({"subject": lambda topic, schema: f"{topic}/{schema.kind}"}, "orders/AVRO"),
    ],
)
async def test_subjects(strategy: dict[str, Any], subject: str) -> None:
    registry = MemoryRegistry()
    await written(RegistryCodec(AvroCodec(namespace="acme"), registry, **strategy), MONEY)
    assert registry.subjects == {subject: [1]}


class Optional(BaseModel):
    """The next version: what was written before is read by its own schema."""

    amount: str
    note: str | None = None
    currency: str = "?"


async def test_versions_are_read_by_the_schema_that_they_were_written_by() -> None:
    registry = MemoryRegistry()
    codec = RegistryCodec(AvroCodec(), registry)
    first, second = await written(codec, MONEY), await written(codec, Optional(amount="1"))
    assert first[:5] != second[:5]
    reading = RegistryCodec(AvroCodec(), registry)
    assert await read(reading, first, Optional) == Optional(amount="12.50", currency="EUR")
    assert await read(reading, second, Money) == Money(amount="1", currency="?")


def test_what_is_no_codec_with_a_schema_and_no_registry_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="RegistryCodec takes AvroCodec, ProtobufCodec or"):
        RegistryCodec(MessagePackCodec(), MemoryRegistry())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="RegistryCodec takes a SchemaRegistry"):
        RegistryCodec(AvroCodec(), "http://localhost")  # type: ignore[arg-type]
