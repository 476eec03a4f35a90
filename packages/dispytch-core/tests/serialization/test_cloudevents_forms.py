"""Forms in which CloudEvents come, judged by the specification and by the official SDK.

Where the two differ, the form says why ours is the specification's.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from inspect import signature
from typing import Any

import pytest
from cloudevents.core.bindings import amqp, kafka, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from pydantic import TypeAdapter

from dispytch.dependencies.header import HeaderMarker, HeaderReader
from dispytch.envelope import time_of
from dispytch.events import Event
from dispytch.exceptions import DecodeError
from dispytch.messages import Delivery, Lease
from dispytch.serialization import CloudEvents, JsonCodec

PREFIXES = {
    "kafka": ("ce_",),
    "amqp": ("cloudEvents_", "cloudEvents:", "ce-"),
    "rabbitmq": ("cloudEvents_", "cloudEvents:", "ce-"),
}
WRITTEN = {"kafka": "ce_", "amqp": "cloudEvents_", "rabbitmq": "ce-"}
BINDINGS = tuple(WRITTEN)
FORMAT = JSONFormat()
DATA = {"a": 1}
REQUIRED = {"specversion": "1.0", "id": "1", "type": "placed", "source": "/shop"}
TIME = "2020-01-01T12:30:00Z"
STRUCTURED = "application/cloudevents+json"


@dataclass(frozen=True)
class Form:
    """A message, and the attributes that it has; None if it is refused.

    differs: why the SDK sees it otherwise, or why it has no say.
    """

    name: str
    binding: str
    headers: Mapping[str, str]
    value: bytes
    attributes: Mapping[str, str] | None
    differs: str | None = None

    def __str__(self) -> str:
        return f"{self.binding}: {self.name}"


def encoded(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()


def binary(
    name: str,
    attributes: Mapping[str, str],
    *,
    refused: bool = False,
    differs: str | None = None,
    spelling: Any = lambda header: header,
    expected: Mapping[str, str] | None = None,
    bindings: tuple[str, ...] = BINDINGS,
) -> list[Form]:
    """A form in binary mode on each binding."""
    return [
        Form(
            name,
            binding,
            {spelling(WRITTEN[binding] + one): text for one, text in attributes.items()}
            | {spelling("content-type"): "application/json"},
            encoded(DATA),
            None
            if refused
            else {**(expected or attributes), "datacontenttype": "application/json"},
            differs,
        )
        for binding in bindings
    ]


def structured(
    name: str,
    event: Any,
    *,
    refused: bool = False,
    differs: str | None = None,
    content_type: str = STRUCTURED,
    expected: Mapping[str, str] | None = None,
    bindings: tuple[str, ...] = ("kafka", "rabbitmq"),
    header: str = "content-type",
) -> list[Form]:
    """A form in structured mode."""
    value = event if isinstance(event, bytes) else encoded(event)
    attributes = (
        {}
        if isinstance(event, bytes)
        else {one: text for one, text in event.items() if one not in ("data", "data_base64")}
    )
    return [
        Form(
            f"structured: {name}",
            binding,
            {header: content_type},
            value,
            None if refused else dict(expected or attributes),
            differs,
        )
        for binding in bindings
    ]


OPTIONAL: dict[str, dict[str, str]] = {
    "required alone": {},
    "time": {"time": TIME},
    "time with an offset": {"time": "2020-01-01T12:30:00+02:00"},
    "time with nanoseconds": {"time": "2020-01-01T12:30:00.123456789Z"},
    "time with a negative offset": {"time": "2020-01-01T12:30:00-08:00"},
    "subject": {"subject": "orders/7"},
    "dataschema": {"dataschema": "https://acme.example/schemas/1"},
    "traceparent": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    "tracestate": {"tracestate": "a=1,b=2"},
    "an extension": {"comacmetenant": "7"},
    "a partition key": {"partitionkey": "k"},
    "all at once": {"time": TIME, "subject": "s", "dataschema": "urn:x", "sequence": "5"},
    "texts beyond ASCII": {"subject": "größe 世界", "comacmename": "Ωmega"},
    "percents, which only HTTP decodes": {"subject": "a%20b%C3%BC%25"},
    "quotes and spaces": {"subject": '"a" b, c; d'},
    "a long text": {"subject": "x" * 5000},
    "a source that is a relative URI": {"source": "shop/1?x=y#z"},
    "an id with spaces": {"id": "a b"},
    "a version of the body": {"dataversion": "3"},
}

BAD_TIMES = [
    "",
    "yesterday",
    "2020-01-01",
    "12:30:00Z",
    "2020-13-01T00:00:00Z",
    "2020-02-30T00:00:00Z",
    "2020-01-01T25:00:00Z",
    "2020-01-01T12:30:00+25:00",
    "2020-01-01T12:30:61Z",
    "2020-01-01T12:30:00Zz",
    "20200101T123000Z",
    "2020-W01-1T12:30:00Z",
    "Wed, 01 Jan 2020 12:30:00 GMT",
    "１２３４-01-01T12:30:00Z",
    "2020-01-01T12:30:00Z\n2020-01-01T12:30:00Z",
    "9" * 40 + "Z",
]
LENIENT = ("2020-01-01", "20200101T123000Z", "2020-W01-1T12:30:00Z")
"""What the SDK takes beside RFC 3339."""

NOT_MADE = "the SDK makes one of its own"
SENSITIVE = "the SDK's AMQP binding tells upper and lower case apart"

FORMS: list[Form] = []
for name, more in OPTIONAL.items():
    FORMS += binary(name, REQUIRED | more)
    FORMS += structured(name, REQUIRED | more | {"data": DATA})

for name, spelling in {
    "upper case": str.upper,
    "title case": str.title,
    "lower case": str.lower,
    "swapped case": str.swapcase,
}.items():
    attributes = REQUIRED | {"time": TIME, "subject": "s", "traceparent": "t"}
    FORMS += binary(name, attributes, spelling=spelling, bindings=("kafka", "rabbitmq"))
    FORMS += binary(name, attributes, spelling=spelling, differs=SENSITIVE, bindings=("amqp",))

for missing in REQUIRED:
    rest = {one: text for one, text in REQUIRED.items() if one != missing}
    differs = NOT_MADE if missing in ("specversion", "id") else None
    FORMS += binary(f"no {missing}", rest, refused=True, differs=differs)
    FORMS += structured(f"no {missing}", rest | {"data": DATA}, refused=True, differs=differs)

for empty in REQUIRED:
    FORMS += binary(f"an empty {empty}", REQUIRED | {empty: ""}, refused=True)
    FORMS += structured(f"an empty {empty}", REQUIRED | {empty: "", "data": DATA}, refused=True)

for time in BAD_TIMES:
    differs = "the SDK takes all of ISO 8601" if time in LENIENT else None
    FORMS += binary(f"time {time!r}", REQUIRED | {"time": time}, refused=True, differs=differs)
    FORMS += structured(f"time {time!r}", REQUIRED | {"time": time}, refused=True, differs=differs)

FORMS += binary(
    "a leap second",
    REQUIRED | {"time": "2016-12-31T23:59:60Z"},
    differs="RFC 3339 has leap seconds, and the SDK has none",
)
FORMS += binary(
    "a time in lower case",
    REQUIRED | {"time": "2020-01-01t12:30:00z"},
    differs="RFC 3339 allows lower case, and the SDK does not",
)
for version in ("0.1", "0.3", "2.0", "x", "10"):
    older = "the SDK reads 0.3 too" if version == "0.3" else None
    FORMS += binary(
        f"specversion {version}", REQUIRED | {"specversion": version}, refused=True, differs=older
    )
    FORMS += structured(
        f"specversion {version}", REQUIRED | {"specversion": version}, refused=True, differs=older
    )

for content_type in (
    "Application/CloudEvents+JSON",
    "APPLICATION/CLOUDEVENTS+JSON",
    "application/cloudevents+json; charset=utf-8",
    "application/cloudevents+json;charset=UTF-8",
    'application/cloudevents+json; charset="utf-8"',
    "Application/CloudEvents+JSON; Charset=UTF-8",
    "application/cloudevents+json ; charset=utf-8",
    "application/cloudevents+json; profile=x; charset=utf-8",
    "application/cloudevents+json;",
):
    FORMS += structured(
        content_type, REQUIRED | {"time": TIME, "data": DATA}, content_type=content_type
    )
for header in ("Content-Type", "CONTENT-TYPE", "content-Type"):
    FORMS += structured(
        f"in the header {header}",
        REQUIRED | {"subject": "größe", "data": DATA},
        content_type="application/cloudevents+json; charset=utf-8",
        header=header,
        bindings=("kafka",),
    )
for content_type in (
    "application/cloudevents-batch+json",
    "Application/CloudEvents-Batch+JSON; charset=utf-8",
    "application/cloudevents+avro",
    "application/cloudevents+protobuf",
    "application/cloudevents+xml",
    "application/cloudevents",
):
    FORMS += structured(
        content_type,
        REQUIRED | {"data": DATA},
        refused=True,
        content_type=content_type,
        differs="the SDK does not look at the content type here",
    )

for name, value in {"null": None, "a number": 5, "a list": ["x"], "an object": {"x": 1}}.items():
    differs = None if name != "null" else "the SDK has null for a value"
    FORMS += structured(f"id is {name}", REQUIRED | {"id": value}, refused=True)
    FORMS += structured(f"type is {name}", REQUIRED | {"type": value}, refused=True)
    if value is not None:
        FORMS += structured(f"subject is {name}", REQUIRED | {"subject": value}, refused=True)
        FORMS += structured(f"time is {name}", REQUIRED | {"time": value}, refused=True)
FORMS += structured(
    "extensions of other types",
    REQUIRED | {"sequence": 5, "sampled": True, "off": False, "comacmenone": None, "data": DATA},
    expected=REQUIRED | {"sequence": "5", "sampled": "true", "off": "false"},
    differs="the SDK keeps their types, which binary mode does not know",
)
FORMS += structured(
    "data and data_base64",
    REQUIRED | {"data": 1, "data_base64": "MQ=="},
    refused=True,
    differs="the SDK takes the first",
)
FORMS += structured(
    "data_base64 that is none",
    REQUIRED | {"data_base64": "%%%"},
    refused=True,
    differs="the SDK leaves away what is no base64",
)
FORMS += structured("a value that is no JSON", b"{", refused=True)
FORMS += structured("a value that is no object", b"[]", refused=True)
FORMS += structured("an empty value", b"", refused=True)
FORMS += structured("a value that is not UTF-8", b'{"id":"\xff"}', refused=True)
FORMS += structured(
    "a byte order mark",
    b"\xef\xbb\xbf" + encoded(REQUIRED),
    expected=REQUIRED,
    differs="the SDK takes it for text",
)
FORMS += structured(
    "a version out of range",
    encoded(REQUIRED)[:-1] + b',"dataversion":1e999}',
    refused=True,
    differs="an attribute of dispytch",
)


def delivered(form: Form) -> Delivery:
    headers = [(name, text.encode()) for name, text in form.headers.items()]
    lease = Lease("orders", "orders[0]")
    return Delivery("orders", form.value, None, headers, lease, 0)


def ours(form: Form) -> Event[Any]:
    delivery = delivered(form)
    envelope = CloudEvents().reader(PREFIXES[form.binding])(delivery)
    assert envelope.data is not None
    return Event(JsonCodec().decode(TypeAdapter(Any), envelope.data), envelope, delivery)


def theirs(form: Form) -> Any:
    headers = dict(form.headers)
    if form.binding == "kafka":
        raw = {name: text.encode() for name, text in headers.items()}
        return kafka.from_kafka(kafka.KafkaMessage(raw, None, form.value), FORMAT)
    name = next(one for one in headers if one.lower() == "content-type")
    content_type = headers.pop(name)
    if form.binding == "rabbitmq":
        message = rabbitmq.RabbitMQMessage(headers, content_type, form.value)
        return rabbitmq.from_rabbitmq(message, FORMAT)
    properties = {"content-type": content_type}
    return amqp.from_amqp(amqp.AMQPMessage(properties, headers, form.value), FORMAT)


def comparable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Times as what they say, to the microsecond."""
    found = dict(attributes)
    time = found.get("time")
    if isinstance(time, str):
        found["time"] = time_of(time)
    return found


def test_there_are_enough_of_them() -> None:
    assert len({str(form) for form in FORMS}) == len(FORMS) >= 135


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_form_is_read_as_the_specification_has_it(form: Form) -> None:
    if form.attributes is None:
        with pytest.raises(DecodeError):
            ours(form)
        return
    event = ours(form)
    attributes = dict(event.attributes)
    if "datacontenttype" not in form.attributes:
        assert attributes.pop("datacontenttype") == "application/json"
    assert attributes == form.attributes
    assert (event.id, event.type, event.source) == tuple(
        form.attributes[name] for name in ("id", "type", "source")
    )
    assert isinstance(event.timestamp, datetime | None)
    assert event.timestamp == (
        time_of(form.attributes["time"]) if "time" in form.attributes else None
    )


@pytest.mark.parametrize("form", [one for one in FORMS if one.differs is None], ids=str)
def test_the_sdk_sees_it_so_too(form: Form) -> None:
    if form.attributes is None:
        with pytest.raises(Exception):  # noqa: B017, PT011
            theirs(form)
        return
    found = dict(theirs(form).get_attributes())
    if "time" not in form.attributes:
        found.pop("time")  # The SDK makes one.
    assert comparable(found) == comparable(form.attributes)
    has_data = form.value == encoded(DATA) or b'"data":' in form.value
    assert theirs(form).get_data() == (DATA if has_data else None)


@pytest.mark.parametrize("form", [one for one in FORMS if one.attributes is not None], ids=str)
def test_a_parameter_finds_an_attribute_whatever_the_form(form: Form) -> None:
    assert form.attributes is not None
    event = ours(form)
    for name in set(form.attributes) - {"time", "datacontenttype"}:
        for prefix in ("ce_", "ce-", "cloudEvents_", "cloudEvents:", "CE_"):
            assert asked(f"{prefix}{name}", event) == form.attributes[name]


def asked(header: str, event: Event[Any]) -> Any:
    def handler(value: str) -> None: ...

    [parameter] = signature(handler).parameters.values()
    return HeaderReader(HeaderMarker(header), str, parameter)(event)


BASE64 = base64.b64encode(b"\x00\xff").decode()


@pytest.mark.parametrize("content_type", [None, "", "image/png"])
def test_data_in_base64_is_of_the_content_type_that_is_told_or_of_none(
    content_type: str | None,
) -> None:
    event = REQUIRED | {"data_base64": BASE64, "datacontenttype": content_type}
    [form, *_] = structured("base64", event)
    envelope = CloudEvents().reader(("ce_",))(delivered(form))
    assert (envelope.data, envelope.content_type) == (b"\x00\xff", content_type or None)


def message(headers: list[tuple[str, bytes]], binding: str = "amqp") -> Event[Any]:
    lease = Lease("orders", "orders[0]")
    delivery = Delivery("orders", b"{}", None, headers, lease, 0)
    return Event({}, CloudEvents().reader(PREFIXES[binding])(delivery), delivery)


def test_prefixes_that_are_mixed_make_one_event() -> None:
    headers = [
        ("cloudEvents_specversion", b"1.0"),
        ("cloudEvents:id", b"1"),
        ("ce-type", b"t"),
        ("CE-Source", b"s"),
        ("ce-subject", b"x"),
    ]
    for order in (headers, headers[::-1]):
        expected = {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "subject": "x"}
        assert message(order).attributes == expected


def test_of_an_attribute_under_several_prefixes_the_first_prefix_counts() -> None:
    headers = [
        *[(f"cloudEvents_{name}", text.encode()) for name, text in REQUIRED.items()],
        ("ce-id", b"2"),
        ("cloudEvents:id", b"3"),
    ]
    for order in (headers, headers[::-1]):
        assert message(order).id == "1"
    assert message(headers[:1] + headers[2:]).id == "3"


def test_of_an_attribute_that_is_repeated_the_last_counts() -> None:
    headers = [(f"ce_{name}", text.encode()) for name, text in REQUIRED.items()]
    assert message([*headers, ("ce_id", b"2")], "kafka").id == "2"
    assert message([*headers, ("CE_ID", b"2"), ("Ce_Id", b"3")], "kafka").id == "3"
    assert message([("CE_ID", b"2"), *headers], "kafka").id == "1"


def test_what_is_no_name_of_an_attribute_is_left_to_the_headers() -> None:
    headers = [(f"ce_{name}", text.encode()) for name, text in REQUIRED.items()]
    strange = [("ce_", b"1"), ("ce_a-b", b"2"), ("ce_a_b", b"\xff"), ("ce_\udcff", b"3")]
    event = message([*headers, *strange], "kafka")
    assert event.attributes == REQUIRED
    assert event.headers["ce_a-b"] == "2"


def test_a_message_that_is_no_cloud_event_has_no_attributes() -> None:
    assert message([("type", b"placed"), ("message-id", b"1")]).attributes == {}


@pytest.mark.parametrize("name", ["subject", "comacmetenant"])
def test_an_attribute_that_is_not_utf8_is_refused(name: str) -> None:
    headers = [(f"ce_{one}", text.encode()) for one, text in REQUIRED.items()]
    with pytest.raises(DecodeError, match=f"is not UTF-8: 'ce_{name}'"):
        message([*headers, (f"ce_{name}", b"\xff")], "kafka")
