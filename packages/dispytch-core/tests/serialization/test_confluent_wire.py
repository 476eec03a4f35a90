"""Confluent's own serializers judge the wire format of bodies with a schema registry."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka.schema_registry import Schema as ConfluentSchema
from confluent_kafka.schema_registry import (
    SchemaReference,
    SchemaRegistryClient,
    dual_schema_id_deserializer,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from pydantic import BaseModel, TypeAdapter

from dispytch.envelope import Envelope
from dispytch.exceptions import DecodeError
from dispytch.messages import Delivery, Lease
from dispytch.serialization import (
    AvroCodec,
    Bodies,
    CloudEvents,
    Codecs,
    JsonCodec,
    ProtobufCodec,
    RegistryCodec,
    Schema,
    SchemaCodec,
    SchemaRegistry,
    Unresolved,
    resolved,
)
from dispytch.serialization.registry.references import References

from . import messages

TOPIC = "orders"
IN_HEADER: dict[str, Any] = {"schema.id.serializer": header_schema_id_serializer}
PROTOBUF_CONF: dict[str, Any] = {"use.deprecated.format": False, "auto.register.schemas": True}


class Shared(SchemaRegistry):
    """A registry that is Confluent's own mock, and reads of it as `ConfluentRegistry` does."""

    def __init__(self) -> None:
        self.client = SchemaRegistryClient.new_client({"url": "mock://shared"})

    async def register(self, subject: str, schema: Schema) -> int:
        return self.client.register_schema(subject, ConfluentSchema(schema.text, schema.kind))

    async def look_up(self, subject: str, schema: Schema) -> int:
        raise NotImplementedError

    async def text(self, schema_id: int) -> str:
        raise NotImplementedError

    async def schema(self, schema_id: int | UUID, kind: Any) -> Schema:
        found: Any = (
            self.client.get_schema(schema_id)
            if isinstance(schema_id, int)
            else self.client.get_schema_by_guid(str(schema_id))
        )
        return await References(Awaited(self.client), kind).of(found, f"schema {schema_id}")


class Awaited:
    """A client as the asynchronous one is."""

    def __init__(self, client: SchemaRegistryClient) -> None:
        self._client = client

    async def get_version(self, subject: str, version: int, deleted: bool) -> Any:
        return self._client.get_version(subject, version, deleted)


@pytest.fixture
def registry() -> Shared:
    return Shared()


def context(headers: Any = None) -> SerializationContext:
    return SerializationContext(TOPIC, MessageField.VALUE, headers)


def registered(
    registry: Shared, subject: str, schema: Any, **references: tuple[str, int]
) -> ConfluentSchema:
    """A schema whose references are subjects and versions by name, a dot for each ``__``."""
    text = json.dumps(schema)
    named = [SchemaReference(name.replace("__", "."), *place) for name, place in references.items()]
    made = ConfluentSchema(text, "AVRO", named)
    registry.client.register_schema(subject, made)
    return made


async def read(
    registry: SchemaRegistry,
    data: bytes,
    body: Any = Any,
    *,
    codec: SchemaCodec | None = None,
    header: bytes | None = None,
) -> Any:
    """What a handler is given, that has no idea of the content type."""
    codecs = Codecs([RegistryCodec(codec or AvroCodec(), registry)])
    bodies = Bodies(codecs, body, TypeAdapter(body))
    envelope = Envelope("1", None, None, None, None, data, schema_id=header)
    try:
        return bodies.decode(envelope)
    except Unresolved as missing:
        return await resolved(lambda: bodies.decode(envelope), missing)


async def written(registry: SchemaRegistry, codec: SchemaCodec, body: Any, value: Any) -> bytes:
    bound = RegistryCodec(codec, registry).bind(body, TypeAdapter(body)).for_topic(TOPIC)
    try:
        return bound.encode(value)
    except Unresolved as missing:
        return await resolved(lambda: bound.encode(value), missing)


def record(name: str, /, **fields: Any) -> dict[str, Any]:
    namespace, _, bare = name.rpartition(".")
    made: dict[str, Any] = {"type": "record", "name": bare or name}
    if namespace:
        made["namespace"] = namespace
    return {**made, "fields": [{"name": one, "type": kind} for one, kind in fields.items()]}


PRIMITIVES: list[tuple[Any, Any, Any]] = [
    ("bytes", bytes, b"\x04ab"),
    ("bytes", bytes, b"\x00"),
    ("bytes", bytes, b"\xff" * 300),
    ({"type": "bytes"}, bytes, b"\x04ab"),
    ("string", str, ""),
    ("string", str, "größe 世界"),
    ("int", int, 7),
    ("int", int, -1),
    ("long", int, 2**62),
    ("float", float, 0.5),
    ("double", float, 1e300),
    ("boolean", bool, True),
    ("boolean", bool, False),
    ({"type": "string"}, str, "a"),
    (["null", "string"], str | None, "a"),
    (["null", "bytes"], bytes | None, b"\x04ab"),
    (["int", "string"], int | str, 5),
    ({"type": "array", "items": "bytes"}, list[bytes], [b"\x04ab", b""]),
    ({"type": "array", "items": "string"}, list[str], ["a", "b"]),
    ({"type": "map", "values": "long"}, dict[str, int], {"a": 1}),
    ({"type": "map", "values": "bytes"}, dict[str, bytes], {"a": b"\x04ab"}),
    ({"type": "enum", "name": "Color", "symbols": ["RED", "BLUE"]}, str, "BLUE"),
    ({"type": "fixed", "name": "Mark", "size": 3}, bytes, b"\x04ab"),
    ({"type": "int", "logicalType": "date"}, date, date(2026, 2, 28)),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        datetime,
        datetime(2026, 2, 28, 12, tzinfo=UTC),
    ),
    ({"type": "string", "logicalType": "uuid"}, UUID, UUID(int=5)),
    (record("Holder", data="bytes"), dict[str, bytes], {"data": b"\x04ab"}),
]


@pytest.mark.parametrize(("schema", "body", "value"), PRIMITIVES)
async def test_what_confluent_writes_of_any_root_is_read(
    registry: Shared, schema: Any, body: Any, value: Any
) -> None:
    data = AvroSerializer(registry.client, json.dumps(schema))(value, context())
    assert data is not None
    assert await read(registry, data, body) == value
    assert await read(registry, data) == AvroDeserializer(registry.client)(data, context())


@pytest.mark.parametrize(("schema", "body", "value"), PRIMITIVES)
async def test_what_we_write_of_any_root_confluent_reads(
    registry: Shared, schema: Any, body: Any, value: Any
) -> None:
    data = await written(registry, AvroCodec({body: schema}), body, value)
    assert AvroSerializer(registry.client, json.dumps(schema))(value, context())[5:] == data[5:]  # type: ignore[index]
    assert AvroDeserializer(registry.client)(data, context()) == value
    assert await read(registry, data, body) == value


async def test_a_bare_decimal_is_its_bytes(registry: Shared) -> None:
    schema = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    data = await written(registry, AvroCodec({Decimal: schema}), Decimal, Decimal("-12.50"))
    assert data[5:] == (-1250).to_bytes(2, "big", signed=True)
    assert AvroDeserializer(registry.client)(data, context()) == data[5:]
    assert await read(registry, data, Decimal) == Decimal("-12.50")


async def test_alone_bytes_keep_their_length() -> None:
    adapter = TypeAdapter(bytes)
    data = AvroCodec().bind(bytes, adapter).encode(b"\x04ab")
    assert data[10:] == b"\x06\x04ab"
    assert AvroCodec().bind(bytes, adapter).decode(data) == b"\x04ab"


ADDRESS = record("acme.Address", street="string", zip="int")
LINE = record("acme.Line", sku="string", count="int")
PERSON = record("acme.Person", name="string", home="acme.Address")
HOME = {"street": "Main", "zip": 1}


async def check(registry: Shared, schema: ConfluentSchema, value: Any) -> None:
    data = AvroSerializer(registry.client, schema)(value, context())
    assert data is not None
    assert await read(registry, data) == AvroDeserializer(registry.client)(data, context()) == value


async def test_a_reference(registry: Shared) -> None:
    registered(registry, "address", ADDRESS)
    schema = registered(registry, "person", PERSON, acme__Address=("address", 1))
    await check(registry, schema, {"name": "Ada", "home": HOME})


async def test_references_within_references(registry: Shared) -> None:
    registered(registry, "address", ADDRESS)
    registered(registry, "person", PERSON, acme__Address=("address", 1))
    order = record("acme.Order", by="acme.Person", to="acme.Address")
    nested = registered(registry, "order", order, acme__Person=("person", 1))
    value = {"by": {"name": "Ada", "home": HOME}, "to": HOME}
    await check(registry, nested, value)
    both = registered(
        registry, "both", order, acme__Person=("person", 1), acme__Address=("address", 1)
    )
    await check(registry, both, value)


async def test_versions_of_a_reference(registry: Shared) -> None:
    registered(registry, "address", ADDRESS)
    registered(registry, "address", record("acme.Address", street="string"))
    first = registered(registry, "person", PERSON, acme__Address=("address", 1))
    second = registered(registry, "person-2", PERSON, acme__Address=("address", 2))
    await check(registry, first, {"name": "Ada", "home": HOME})
    await check(registry, second, {"name": "Ada", "home": {"street": "Main"}})


async def test_a_diamond_of_references(registry: Shared) -> None:
    registered(registry, "address", ADDRESS)
    registered(registry, "a", record("acme.A", at="acme.Address"), acme__Address=("address", 1))
    registered(registry, "b", record("acme.B", at="acme.Address"), acme__Address=("address", 1))
    top = registered(
        registry,
        "top",
        record("acme.Top", a="acme.A", b="acme.B"),
        acme__A=("a", 1),
        acme__B=("b", 1),
    )
    await check(registry, top, {"a": {"at": HOME}, "b": {"at": HOME}})


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (lambda name: {"type": "array", "items": name}, [{"sku": "a", "count": 1}]),
        (lambda name: {"type": "map", "values": name}, {"x": {"sku": "a", "count": 1}}),
        (lambda name: ["null", name], {"sku": "a", "count": 1}),
        (lambda name: ["null", name], None),
    ],
)
async def test_references_in_arrays_maps_and_unions(registry: Shared, of: Any, value: Any) -> None:
    registered(registry, "line", LINE)
    schema = registered(
        registry, "holder", record("acme.Holder", held=of("acme.Line")), acme__Line=("line", 1)
    )
    await check(registry, schema, {"held": value})


@pytest.mark.parametrize(
    "named",
    [
        {"type": "enum", "name": "Color", "namespace": "acme", "symbols": ["RED"]},
        {"type": "enum", "name": "acme.Color", "symbols": ["RED"]},
    ],
)
async def test_a_reference_to_an_enum(registry: Shared, named: Any) -> None:
    registered(registry, "color", named)
    schema = registered(
        registry, "car", record("acme.Car", color="acme.Color"), acme__Color=("color", 1)
    )
    await check(registry, schema, {"color": "RED"})


async def test_a_union_of_references_at_the_root(registry: Shared) -> None:
    registered(registry, "address", ADDRESS)
    registered(registry, "line", LINE)
    schema = registered(
        registry,
        "any",
        ["acme.Address", "acme.Line"],
        acme__Address=("address", 1),
        acme__Line=("line", 1),
    )
    await check(registry, schema, HOME)
    await check(registry, schema, {"sku": "a", "count": 2})


async def test_a_reference_by_a_name_in_the_same_namespace(registry: Shared) -> None:
    registered(registry, "address", ADDRESS)
    schema = registered(
        registry, "person", record("acme.Person", home="Address"), acme__Address=("address", 1)
    )
    await check(registry, schema, {"home": HOME})


class Address(BaseModel):
    street: str
    zip: int


class Person(BaseModel):
    name: str
    home: Address


async def test_a_model_is_made_of_what_refers_to_others(registry: Shared) -> None:
    registered(registry, "address", ADDRESS)
    schema = registered(registry, "person", PERSON, acme__Address=("address", 1))
    data = AvroSerializer(registry.client, schema)({"name": "Ada", "home": HOME}, context())
    assert data is not None
    person = await read(registry, data, Person)
    assert person == Person(name="Ada", home=Address(street="Main", zip=1))


@pytest.mark.parametrize("subject", ["gone", "person"])
async def test_a_reference_to_what_is_not_there_is_undecodable(
    registry: Shared, subject: str
) -> None:
    schema = ConfluentSchema(
        json.dumps(PERSON), "AVRO", [SchemaReference("acme.Address", "other", 1)]
    )
    other = registered(registry, "other", record("acme.Elsewhere", a="int"))
    assert other is not None
    schema_id = registry.client.register_schema(subject, schema)
    with pytest.raises(DecodeError, match="the writer's Avro schema cannot be understood"):
        await read(registry, b"\0" + schema_id.to_bytes(4, "big") + b"\0")


@pytest.mark.parametrize("kind", [list, dict])
async def test_an_id_in_a_header_as_a_guid(registry: Shared, kind: Any) -> None:
    headers = kind()
    serializer = AvroSerializer(
        registry.client,
        json.dumps(ADDRESS),
        conf={"schema.id.serializer": header_schema_id_serializer},
    )
    data = serializer(HOME, context(headers))
    [(name, header)] = headers.items() if kind is dict else headers
    assert (name, header[0], len(header)) == ("__value_schema_id", 1, 17)
    assert data is not None
    assert await read(registry, data, Address, header=header) == Address(**HOME)  # type: ignore[arg-type]
    # In front of the body, it says the same.
    assert await read(registry, header + data, Address) == Address(**HOME)  # type: ignore[arg-type]


async def test_an_id_in_a_header_as_a_number(registry: Shared) -> None:
    data = AvroSerializer(registry.client, json.dumps(ADDRESS))(HOME, context())
    assert data is not None
    header, rest = data[:5], data[5:]
    theirs = AvroDeserializer(
        registry.client, conf={"schema.id.deserializer": dual_schema_id_deserializer}
    )(rest, context([("__value_schema_id", header)]))
    assert await read(registry, rest, header=header) == theirs == HOME


async def test_a_header_counts_before_what_is_in_front_of_the_body(registry: Shared) -> None:
    serializer = AvroSerializer(registry.client, '"bytes"')
    data = serializer(b"\x04ab", context())
    assert data is not None
    assert await read(registry, data, bytes, header=data[:5]) == data


async def test_an_empty_body_beside_a_header_is_one(registry: Shared) -> None:
    data = AvroSerializer(registry.client, '"bytes"')(b"", context())
    assert data is not None
    assert await read(registry, b"", bytes, header=data) == b""


@pytest.mark.parametrize("header", [b"", b"\0", b"\0\0\0\1", b"\1" * 16, b"\2" * 17, b"7"])
async def test_a_header_that_is_no_id_is_undecodable(registry: Shared, header: bytes) -> None:
    with pytest.raises(DecodeError):
        await read(registry, b"", header=header)


async def test_json_and_protobuf_with_an_id_in_a_header(registry: Shared) -> None:
    headers: list[tuple[str, bytes]] = []
    schema = json.dumps({"title": "Address", "type": "object"})
    data = JSONSerializer(schema, registry.client, conf=IN_HEADER)(HOME, context(headers))
    assert data is not None
    found = await read(registry, data, Address, codec=JsonCodec(), header=headers[0][1])
    assert found == Address(**HOME)  # type: ignore[arg-type]
    headers.clear()
    money = messages.Money(amount="1", currency="EUR")
    proto = ProtobufSerializer(messages.Money, registry.client, {**PROTOBUF_CONF, **IN_HEADER})
    data = proto(money, context(headers))
    assert data is not None
    codec = ProtobufCodec({dict: messages.Money})
    found = await read(registry, data, dict, codec=codec, header=headers[0][1])
    assert found == {"amount": "1", "currency": "EUR"}


async def test_the_wire_hands_the_header_on() -> None:
    for headers in (
        [("__value_schema_id", b"\0\0\0\0\7")],
        [("type", b"x"), ("__value_schema_id", b"\0\0\0\0\7")],
    ):
        delivery = Delivery(TOPIC, b"x", None, headers, Lease(TOPIC, TOPIC), 0)
        assert CloudEvents().reader(("ce_",))(delivery).schema_id == b"\0\0\0\0\7"
    codecs = Codecs([JsonCodec()])
    envelope = Envelope("1", None, None, None, None, b"7", schema_id=b"anything")
    assert Bodies(codecs, int, TypeAdapter(int)).decode(envelope) == 7


async def test_a_schema_of_another_kind_is_undecodable(registry: Shared) -> None:
    schema = ConfluentSchema('{"type":"object"}', "JSON")
    schema_id = registry.client.register_schema("other", schema)
    with pytest.raises(DecodeError, match=f"schema {schema_id} is JSON, and not AVRO"):
        await read(registry, b"\0" + schema_id.to_bytes(4, "big") + b"\0")
