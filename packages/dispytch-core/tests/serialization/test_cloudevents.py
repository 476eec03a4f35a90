"""CloudEvents and plain messages, as they come from real wires."""

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import DecodeError
from dispytch.messages import Delivery, Lease
from dispytch.serialization import CloudEvents, JsonCodec

BINARY = {
    "ce_specversion": b"1.0",
    "ce_id": b"1",
    "ce_type": b"placed",
    "ce_source": b"shop",
    "ce_time": b"2020-01-01T00:00:00Z",
    "content-type": b"application/json",
}
STRUCTURED = {
    "specversion": "1.0",
    "id": "1",
    "type": "placed",
    "source": "shop",
    "time": "2020-01-01T00:00:00Z",
    "datacontenttype": "application/json",
    "data": {"a": 1},
}
ENVELOPE = Envelope("1", "placed", "shop", "2020-01-01T00:00:00Z", "application/json", b'{"a":1}')

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
times = st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | st.just(
    "2016-12-31t23:59:60.5z"
)


def delivered(value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> Delivery:
    lease = Lease("orders", "orders[3]")
    return Delivery("orders", value, None, headers, lease, 42)


def read(
    value: bytes,
    headers: dict[str, bytes],
    *,
    prefixes: Sequence[str] = ("ce_",),
    wire: CloudEvents | None = None,
) -> Envelope:
    return (wire or CloudEvents()).reader(prefixes)(delivered(value, list(headers.items())))


def structured(
    event: Any = STRUCTURED, content_type: bytes = b"application/cloudevents+json"
) -> Envelope:
    return read(json.dumps(event).encode(), {"content-type": content_type})


def without(attributes: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in names}


def test_binary_mode() -> None:
    assert read(b'{"a":1}', BINARY | {"ce_subject": b"x", "other": b"\xff"}) == ENVELOPE


def test_binary_mode_with_what_is_required_alone() -> None:
    headers = without(BINARY, "ce_time", "content-type")
    assert read(b"1", headers) == Envelope("1", "placed", "shop", None, None, b"1")


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
def test_all_prefixes_are_read_and_the_first_is_written(prefix: str) -> None:
    prefixes = ("cloudEvents_", "cloudEvents:")
    headers = {name.replace("ce_", prefix): value for name, value in BINARY.items()}
    assert read(b'{"a":1}', headers, prefixes=prefixes) == ENVELOPE
    _, written = CloudEvents().writer(prefixes)(ENVELOPE)
    assert {name for name, _ in written} - {"content-type"} == {
        f"cloudEvents_{name}" for name in ("specversion", "id", "type", "source", "time")
    }


@given(text, text, text, st.none() | times, text, st.binary())
def test_what_is_written_is_read_again(
    id_: str, type_: str, source: str, time: str | None, content_type: str, data: bytes
) -> None:
    content_type = f"application/{content_type}-x"
    if content_type.lower().startswith("application/cloudevents"):
        return
    envelope = Envelope(id_, type_, source, time, content_type, data)
    value, headers = CloudEvents().writer(("ce_",))(envelope)
    assert CloudEvents().reader(("ce_",))(delivered(value, headers)) == envelope


@given(st.data(), st.permutations(sorted(BINARY)))
def test_the_order_of_the_headers_does_not_matter(data: st.DataObject, order: list[str]) -> None:
    values = {name: data.draw(st.just(BINARY[name]) | st.binary(), name) for name in BINARY}
    as_written = [(name, values[name]) for name, _ in CloudEvents().writer(("ce_",))(ENVELOPE)[1]]
    shuffled = [(name, values[name]) for name in order]
    assert outcome(as_written) == outcome(shuffled)


def outcome(headers: Sequence[tuple[str, bytes]]) -> Envelope | str:
    try:
        return CloudEvents().reader(("ce_",))(delivered(b"1", headers))
    except DecodeError as error:
        return str(error)


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_type", "ce_source"])
def test_a_missing_attribute_is_named(name: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(b"1", without(BINARY, name))
    assert str(caught.value) == f"a CloudEvent lacks the attribute {name!r}"


@pytest.mark.parametrize("name", list(BINARY))
def test_an_attribute_that_is_not_utf8(name: str) -> None:
    with pytest.raises(DecodeError, match="a CloudEvents attribute is not UTF-8: "):
        read(b"1", BINARY | {name: b"\xff"})


@pytest.mark.parametrize("version", ["0.3", "2.0", "", "10", "one"])
def test_other_versions_are_refused_in_both_modes(version: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(b"1", BINARY | {"ce_specversion": version.encode()})
    assert str(caught.value) == f"CloudEvents 1.x can be read, this one says {version!r}"
    with pytest.raises(DecodeError, match=r"CloudEvents 1.x can be read, this one says "):
        structured(STRUCTURED | {"specversion": version})


def test_later_minor_versions_are_read() -> None:
    assert read(b'{"a":1}', BINARY | {"ce_specversion": b"1.1"}) == ENVELOPE
    assert structured(STRUCTURED | {"specversion": "1.0.2"}) == ENVELOPE


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (b"2020-01-01T00:00:00.123456789Z", datetime(2020, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        (b"2020-01-01T02:00:00+02:00", datetime(2020, 1, 1, tzinfo=UTC)),
        (b"1577836800000", datetime(2020, 1, 1, tzinfo=UTC)),
    ],
    ids=["nanoseconds", "offset", "milliseconds of AMQP"],
)
def test_times_of_all_kinds(text: bytes, time: datetime) -> None:
    delivery = delivered(b"1", list((BINARY | {"ce_time": text}).items()))
    event = Event(1, CloudEvents().reader(("ce_",))(delivery), delivery)
    assert event.timestamp == time


def test_a_timestamp_beyond_the_calendar() -> None:
    with pytest.raises(DecodeError, match="is no time"):
        read(b"1", BINARY | {"ce_time": b"9" * 30})


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=UTF-8",
        b"Application/CloudEvents+JSON",
    ],
)
def test_structured_mode(content_type: bytes) -> None:
    assert structured(content_type=content_type) == ENVELOPE


def test_a_structured_message_may_repeat_its_attributes_as_headers() -> None:
    headers = BINARY | {"content-type": b"application/cloudevents+json"}
    assert read(json.dumps(STRUCTURED).encode(), headers) == ENVELOPE


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+avro",
        "application/cloudevents+jsons",
        "application/cloudevents",
    ],
)
def test_other_formats_are_refused(content_type: str) -> None:
    with pytest.raises(DecodeError) as caught:
        structured([STRUCTURED], content_type.encode())
    assert str(caught.value) == (
        f"CloudEvents as {content_type!r} cannot be read; 'application/cloudevents+json' can"
    )


@pytest.mark.parametrize(
    "content_type",
    [b"application/cloudevents-batch+json", b"Application/CloudEvents-Batch+JSON; charset=utf-8"],
)
def test_batches_are_refused_with_what_can_be_done(content_type: bytes) -> None:
    with pytest.raises(DecodeError, match="have its producer send them one by one"):
        structured([STRUCTURED], content_type)


@pytest.mark.parametrize("name", ["id", "type", "source"])
def test_a_missing_attribute_of_a_structured_event_is_named(name: str) -> None:
    for event in (without(STRUCTURED, name), STRUCTURED | {name: None}):
        with pytest.raises(DecodeError, match=f"a CloudEvent lacks the attribute '{name}'"):
            structured(event)


def test_a_structured_event_without_version() -> None:
    with pytest.raises(DecodeError, match="this one says 'none at all'"):
        structured(without(STRUCTURED, "specversion"))


@pytest.mark.parametrize("name", ["id", "type", "source", "time", "datacontenttype"])
def test_an_attribute_that_is_no_text(name: str) -> None:
    with pytest.raises(DecodeError) as caught:
        structured(STRUCTURED | {name: 5})
    assert str(caught.value) == f"a CloudEvent's {name!r} must be a text, not 5"


def test_optional_attributes_may_be_null_or_absent() -> None:
    expected = Envelope("1", "placed", "shop", None, "application/json", b'{"a":1}')
    assert structured(without(STRUCTURED, "time", "datacontenttype")) == expected
    assert structured(STRUCTURED | {"time": None, "datacontenttype": None}) == expected


@pytest.mark.parametrize(
    ("data", "content_type", "value"),
    [
        ({"data": None}, "application/json", b"null"),
        ({}, "application/json", b"null"),
        ({"data": "text"}, "application/json", b'"text"'),
        ({"data": "text"}, "application/vnd.acme+json; charset=utf-8", b'"text"'),
        ({"data": "größe"}, "text/plain", "größe".encode()),
        ({"data": 1e400}, "application/json", b"Infinity"),
        ({"data": 10**30}, "application/json", b"1" + b"0" * 30),
        ({"data_base64": base64.b64encode(b"\x00\xff").decode()}, "image/png", b"\x00\xff"),
        ({"data_base64": base64.b64encode(b"[1]").decode()}, "application/json", b"[1]"),
        ({"data_base64": ""}, "application/json", b""),
    ],
)
def test_data_of_a_structured_event(data: dict[str, Any], content_type: str, value: bytes) -> None:
    event = without(STRUCTURED, "data") | data | {"datacontenttype": content_type}
    envelope = structured(event)
    assert (envelope.data, envelope.content_type) == (value, content_type)


@pytest.mark.parametrize("encoded", ["%%%", "YQ", 5, ["YQ=="], "größe"])
def test_data_that_is_not_base64(encoded: object) -> None:
    with pytest.raises(DecodeError, match="the CloudEvent's data_base64 is not base64: "):
        structured(without(STRUCTURED, "data") | {"data_base64": encoded})


def test_absent_data_is_null_to_the_codec_in_both_modes() -> None:
    adapter = TypeAdapter(None)
    for envelope in (read(b"", BINARY), structured(without(STRUCTURED, "data"))):
        assert JsonCodec().decode(adapter, envelope.data) is None


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"[" * 10_000])
def test_a_structured_event_that_is_not_json(value: bytes) -> None:
    with pytest.raises(DecodeError, match="a structured CloudEvent is not JSON: "):
        read(value, {"content-type": b"application/cloudevents+json"})


@pytest.mark.parametrize("event", [[], "text", 5, None])
def test_a_structured_event_that_is_no_object(event: object) -> None:
    with pytest.raises(DecodeError, match="a structured CloudEvent is not a JSON object"):
        structured(event)


@given(st.binary(), st.dictionaries(st.sampled_from(sorted(BINARY)), st.binary()))
def test_whatever_comes_is_read_or_refused(value: bytes, headers: dict[str, bytes]) -> None:
    """Poison must never be anything but a `DecodeError`."""
    for content_type in ({}, {"content-type": b"application/cloudevents+json"}):
        with suppress(DecodeError):
            read(value, headers | content_type)


attributes = st.none() | st.integers() | st.text() | st.lists(st.none()) | st.just("1.0")


@given(st.dictionaries(st.sampled_from([*STRUCTURED, "data_base64"]), attributes))
def test_whatever_is_structured_is_read_or_refused(event: dict[str, Any]) -> None:
    with suppress(DecodeError):
        structured({"specversion": "1.0", "id": "1", "type": "t", "source": "s"} | event)


def test_a_plain_message() -> None:
    assert read(b"[1]", {}) == Envelope("orders[3]/42", None, None, None, None, b"[1]")


def test_a_plain_message_with_headers() -> None:
    headers = {"type": b"placed", "message-id": b"m1", "content-type": b"text/plain"}
    assert read(b"x", headers) == Envelope("m1", "placed", None, None, "text/plain", b"x")


def test_the_type_of_a_plain_message_is_the_users_to_tell() -> None:
    headers = {"type": b"a", "x-kind": b"b"}
    by_header = CloudEvents(type_header="x-kind")
    by_function = CloudEvents(type_of=lambda delivery: delivery.value.decode())
    assert read(b"c", headers, wire=by_header).type == "b"
    assert read(b"c", headers, wire=by_function).type == "c"
    assert read(b"c", BINARY, wire=by_function).type == "placed", "a CloudEvent tells its own"


def test_a_function_that_fails_on_a_message_makes_it_unreadable() -> None:
    wire = CloudEvents(type_of=lambda delivery: json.loads(delivery.value)["kind"])
    with pytest.raises(DecodeError, match="type_of cannot tell the message's type: KeyError"):
        read(b"{}", {}, wire=wire)
    with pytest.raises(DecodeError, match="JSONDecodeError"):
        read(b"poison", {}, wire=wire)


@pytest.mark.parametrize("name", ["type", "message-id", "content-type"])
def test_a_header_of_a_plain_message_that_is_not_utf8(name: str) -> None:
    with pytest.raises(DecodeError, match=f"the header '{name}' is not UTF-8: "):
        read(b"1", {name: b"\xff"})


def test_of_a_repeated_header_the_last_counts() -> None:
    headers = [*BINARY.items(), ("ce_type", b"cancelled")]
    assert CloudEvents().reader(("ce_",))(delivered(b"1", headers)).type == "cancelled"
