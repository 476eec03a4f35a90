"""A real schema registry, and Confluent's own serializers beside it."""

import asyncio
import json
from typing import Any, Literal
from uuid import uuid4

import pytest
from brokers.broker import Broker
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.type.money_pb2 import Money
from pydantic import TypeAdapter

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.exceptions import DecodeError, RegistryUnavailable, SchemaRefused
from dispytch.serialization import (
    AvroCodec,
    ConfluentRegistry,
    JsonCodec,
    ProtobufCodec,
    RegistryCodec,
    SchemaCodec,
)


@pytest.fixture
def url(registry: Broker) -> str:
    """Its URL; it is started again for a test that comes after one that has killed it."""
    registry.start()
    return registry.url


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def made(name: str, **attributes: Any) -> type[EventBase]:
    annotations = {name: kind for name, (kind, _) in attributes.items()}
    defaults = {name: value for name, (_, value) in attributes.items() if value is not ...}
    return type(
        "Priced",
        (EventBase,),
        {
            "__module__": __name__,
            "__topic__": name,
            "__event_type__": "priced",
            "__annotations__": annotations,
            **defaults,
        },
    )


def codec_of(kind: Literal["avro", "json", "protobuf"], model: Any) -> SchemaCodec:
    match kind:
        case "avro":
            return AvroCodec(namespace="acme")
        case "json":
            return JsonCodec()
        case "protobuf":
            return ProtobufCodec({model: Money})


@pytest.mark.parametrize("kind", ["avro", "json", "protobuf"])
async def test_events_go_through_the_registry(
    kind: Literal["avro", "json", "protobuf"], url: str, broker_url: str, unique: str
) -> None:
    topic = f"prices.{unique}"
    model = made(topic, currency_code=(str, ...), units=(int, 0))
    prices, seen = HandlerGroup(topic), list[Any]()

    @prices.handler(event="priced")
    async def handle(event: Event[model]) -> None:  # type: ignore[valid-type]
        seen.append((event.envelope.content_type, event.body))

    def codec() -> RegistryCodec:
        return RegistryCodec(codec_of(kind, model), ConfluentRegistry(url))

    listener = EventListener(broker_url, group=f"accounts.{unique}", codecs=[codec()])
    listener.add_handler_group(prices)
    async with listener, EventEmitter(broker_url, codec=codec()) as emitter:
        await emitter.emit_many([model(currency_code="EUR", units=n) for n in range(20)])
        await until(lambda: listener.outcomes.handled == 20)
    expected = f"application/vnd.confluent.{kind}"
    assert sorted(seen, key=lambda one: one[1].units) == [
        (expected, model(currency_code="EUR", units=n)) for n in range(20)
    ]
    subjects = SchemaRegistryClient({"url": url}).get_subjects()
    assert f"{topic}-value" in subjects


async def test_confluents_serializers_and_ours_are_the_same(url: str, unique: str) -> None:
    model = made(f"prices.{unique}", currency_code=(str, ...), units=(int, 0))
    codec = RegistryCodec(AvroCodec(), ConfluentRegistry(url))
    schema = codec.codec.bind_schema(model, TypeAdapter(model)).schema
    client = SchemaRegistryClient({"url": url})
    context = SerializationContext(model.__topic__, MessageField.VALUE)
    body = {"currency_code": "EUR", "units": 7}
    theirs = AvroSerializer(client, schema.text)(body, context)
    assert theirs is not None
    bound = codec.bind(model, TypeAdapter(model)).for_topic(model.__topic__)
    await codec.learn_id((f"{model.__topic__}-value", schema))
    await codec.learn_schema(int.from_bytes(theirs[1:5], "big"))
    assert bound.encode(model(**body)) == theirs
    assert bound.decode(theirs) == model(**body)
    assert AvroDeserializer(client)(theirs, context) == body


async def test_schemas_that_refer_to_others_are_read_as_confluent_reads_them(
    url: str, unique: str
) -> None:
    client = SchemaRegistryClient({"url": url})
    context = SerializationContext(f"prices.{unique}", MessageField.VALUE)

    def registered(
        name: str, version: int, /, *references: SchemaReference, **fields: Any
    ) -> Schema:
        of = [{"name": field, "type": kind} for field, kind in fields.items()]
        text = json.dumps({"type": "record", "name": f"acme.{name}", "fields": of})
        schema = Schema(text, "AVRO", list(references))
        client.register_schema(f"{name}.{unique}", schema)
        found = client.lookup_schema(f"{name}.{unique}", schema)
        assert found.version == version
        return schema

    def reference(name: str, version: int) -> SchemaReference:
        return SchemaReference(f"acme.{name}", f"{name}.{unique}", version)

    registered("Place", 1, street="string")
    registered("Place", 2, street="string", zip="int")
    registered("Person", 1, reference("Place", 2), name="string", home="acme.Place")
    order = registered(
        "Order",
        1,
        reference("Person", 1),
        reference("Place", 2),
        by="acme.Person",
        to={"type": "array", "items": "acme.Place"},
    )
    home = {"street": "Main", "zip": 1}
    body = {"by": {"name": "Ada", "home": home}, "to": [home, home]}
    data = AvroSerializer(client, order, conf={"auto.register.schemas": True})(body, context)
    assert data is not None
    assert AvroDeserializer(client)(data, context) == body
    codec = RegistryCodec(AvroCodec(), ConfluentRegistry(url))
    await codec.learn_schema(int.from_bytes(data[1:5], "big"))
    assert codec.bind(Any, TypeAdapter(Any)).decode(data) == body
    await codec.close()


async def test_ids_that_the_registry_does_not_have_are_undecodable(url: str) -> None:
    registry = ConfluentRegistry(url)
    with pytest.raises(DecodeError, match="has no schema with the id 4000000000"):
        await registry.schema(4_000_000_000, "AVRO")
    with pytest.raises(DecodeError):
        await registry.schema(uuid4(), "AVRO")
    await registry.close()


async def test_a_schema_that_is_not_compatible_is_refused_and_nothing_is_sent(
    url: str, unique: str
) -> None:
    topic = f"prices.{unique}"
    first = made(topic, units=(int, ...))
    wider = made(topic, units=(int, ...), note=(str, ""))
    wrong = made(topic, units=(str, ...), cents=(int, ...))
    client = SchemaRegistryClient({"url": url})
    registry = ConfluentRegistry(url)
    async with EventEmitter(
        f"memory://{unique}", codec=RegistryCodec(AvroCodec(), registry)
    ) as emitter:
        await emitter.emit(first(units=1))
        client.set_compatibility(f"{topic}-value", level="BACKWARD")
        await emitter.emit(wider(units=1))
        with pytest.raises(SchemaRefused, match="not compatible with a version before it"):
            await emitter.emit(wrong(units="1", cents=2))
    assert len(client.get_versions(f"{topic}-value")) == 2
    async with EventEmitter(
        f"memory://{unique}", codec=RegistryCodec(AvroCodec(), registry, auto_register=False)
    ) as emitter:
        await emitter.emit(wider(units=1))
        with pytest.raises(SchemaRefused, match="does not have the schema of Priced"):
            await emitter.emit(wrong(units="1", cents=2))


async def test_a_registry_that_is_killed_costs_no_event(
    registry: Broker, url: str, broker_url: str, unique: str
) -> None:
    topic = f"prices.{unique}"
    model, prices, seen = made(topic, units=(int, ...)), HandlerGroup(topic), list[int]()

    @prices.handler()
    async def handle(event: Event[model]) -> None:  # type: ignore[valid-type]
        seen.append(event.body.units)

    def codec(**options: Any) -> RegistryCodec:
        return RegistryCodec(AvroCodec(), ConfluentRegistry(url, **options))

    def listening() -> EventListener:
        listener = EventListener(broker_url, group=f"accounts.{unique}", codecs=[codec(timeout=1)])
        listener.add_handler_group(prices)
        return listener

    async with listening():
        pass  # Now there is a queue, where a broker needs one to keep events.
    async with EventEmitter(broker_url, codec=codec()) as emitter:
        await emitter.emit_many([model(units=n) for n in range(30)])
    await asyncio.to_thread(registry.kill)
    async with EventEmitter(broker_url, codec=codec(timeout=0.2)) as emitter:
        with pytest.raises(RegistryUnavailable):
            await emitter.emit(model(units=99))
    async with listening() as listener:
        problems: tuple[str, ...] = ()
        async with asyncio.timeout(30):
            while not any("events cannot be read" in one for one in problems):
                await asyncio.sleep(0.1)
                problems = (await listener.health()).problems
        assert (seen, listener.outcomes.dead_lettered) == ([], 0)
        await asyncio.to_thread(registry.start)
        await until(lambda: len(seen) == 30)
    assert sorted(seen) == list(range(30))
    assert listener.outcomes.dead_lettered == 0
