"""The official SDK writes what we read, and reads what we write."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings import amqp, kafka, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dispytch.envelope import Envelope
from dispytch.events import Event, EventBase
from dispytch.exceptions import ConfigurationError
from dispytch.messages import Delivery, Headers, Lease
from dispytch.serialization import CloudEvents, EventWriter, JsonCodec

AMQP_PREFIXES = ("cloudEvents_", "cloudEvents:")
FORMAT = JSONFormat()

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
bodies = st.dictionaries(
    names, st.none() | st.booleans() | st.integers() | names | st.lists(st.integers())
).filter(bool)
times = st.datetimes(timezones=st.just(UTC))


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "bestellt-世界"
    __key__ = "{number}"

    number: int
    text: str


def delivered(value: bytes, headers: Headers) -> Delivery:
    lease = Lease("orders", "orders[0]")
    return Delivery("orders", value, None, headers, lease, 0)


def by_kafka(message: kafka.KafkaMessage) -> Event[Any]:
    delivery = delivered(message.value, list(message.headers.items()))
    return event_of(CloudEvents().reader(("ce_",))(delivery), delivery)


def by_amqp(message: amqp.AMQPMessage) -> Event[Any]:
    """A broker's client gives text and numbers; a backend makes bytes of them."""
    headers = [
        (name, str(value).encode())
        for name, value in {**message.application_properties, **message.properties}.items()
    ]
    delivery = delivered(message.application_data, headers)
    return event_of(CloudEvents().reader(AMQP_PREFIXES)(delivery), delivery)


def event_of(envelope: Envelope, delivery: Delivery) -> Event[Any]:
    body = JsonCodec().decode(TypeAdapter(Any), envelope.data)
    return Event(body, envelope, delivery)


@given(names, names, names, times, bodies)
def test_we_read_what_the_sdk_writes(
    id_: str, type_: str, source: str, time: datetime, body: dict[str, Any]
) -> None:
    def made() -> CloudEvent:
        attributes = {"id": id_, "type": type_, "source": source, "time": time}
        return CloudEvent({**attributes, "datacontenttype": "application/json"}, body)

    for event in (
        by_kafka(kafka.to_binary(made(), FORMAT)),
        by_kafka(kafka.to_structured(made(), FORMAT)),
        by_amqp(amqp.to_binary(made(), FORMAT)),
        by_amqp(amqp.to_structured(made(), FORMAT)),
    ):
        assert (event.id, event.type, event.source, event.body) == (id_, type_, source, body)
        assert event.timestamp is not None
        # In AMQP's binary mode a time has milliseconds.
        assert abs(event.timestamp - time) <= timedelta(milliseconds=2)


@pytest.mark.parametrize("data", [b"\x00\xff", "text", None])
def test_we_read_data_of_the_sdk_that_is_not_json(data: bytes | str | None) -> None:
    def made() -> CloudEvent:
        attributes = {"type": "t", "source": "s", "datacontenttype": "text/plain"}
        return CloudEvent({**attributes}, data)

    raw = data.encode() if isinstance(data, str) else data
    reader = CloudEvents().reader(("ce_",))
    for message in (kafka.to_binary(made(), FORMAT), kafka.to_structured(made(), FORMAT)):
        envelope = reader(delivered(message.value, list(message.headers.items())))
        assert envelope.content_type == "text/plain"
        assert envelope.data in ((raw,) if raw is not None else (b"", b"null"))


@given(st.integers(), names)
def test_the_sdk_reads_what_we_write(number: int, text: str) -> None:
    event = Placed(number=number, text=text)
    for prefixes in (("ce_",), AMQP_PREFIXES):
        writer = EventWriter(
            wire=CloudEvents(),
            codec=JsonCodec(),
            source="shop",
            prefixes=prefixes,
            config_type=None,
        )
        message = writer.message(event)
        headers = dict(message.headers)
        if prefixes == AMQP_PREFIXES:
            texts = {name: value.decode() for name, value in headers.items()}
            properties = {"content-type": texts.pop("content-type")}
            read = amqp.from_amqp(amqp.AMQPMessage(properties, texts, message.value), FORMAT)
        else:
            read = kafka.from_kafka(kafka.KafkaMessage(headers, message.key, message.value), FORMAT)
            assert read.get_extension("partitionkey") == str(number)
        assert isinstance(read, CloudEvent)
        assert read.get_id() == event.__event_id__
        assert read.get_type() == "bestellt-世界"
        assert read.get_source() == "shop"
        assert read.get_time() == datetime.fromisoformat(event.__event_time__)
        assert read.get_datacontenttype() == "application/json"
        assert read.get_data() == {"number": number, "text": text}


@given(st.integers(), names)
def test_the_sdk_reads_what_we_write_with_the_prefix_of_its_rabbitmq_binding(
    number: int, text: str
) -> None:
    event = Placed(number=number, text=text)
    wire = CloudEvents(prefix="ce-")
    prefixes = (*AMQP_PREFIXES, "ce-")
    writer = EventWriter(
        wire=wire, codec=JsonCodec(), source="shop", prefixes=prefixes, config_type=None
    )
    message = writer.message(event)
    texts = {name: (value or b"").decode() for name, value in message.headers}
    content_type = texts.pop("content-type")
    read = rabbitmq.from_rabbitmq(
        rabbitmq.RabbitMQMessage(texts, content_type, message.value or b""), FORMAT
    )
    assert (read.get_id(), read.get_type()) == (event.__event_id__, "bestellt-世界")
    assert read.get_data() == {"number": number, "text": text}
    for reader in (wire, CloudEvents()):
        envelope = reader.reader(prefixes)(delivered(message.value or b"", message.headers))
        assert (envelope.id, envelope.type) == (event.__event_id__, "bestellt-世界")


@pytest.mark.parametrize("prefix", ["ce-", "x", ""])
def test_a_prefix_that_the_backend_does_not_have_is_refused(prefix: str) -> None:
    wire = CloudEvents(prefix=prefix)
    for compiled in (wire.reader, wire.writer):
        with pytest.raises(ConfigurationError, match=r"this backend has no such prefix; it has 'c"):
            compiled(("ce_",))
