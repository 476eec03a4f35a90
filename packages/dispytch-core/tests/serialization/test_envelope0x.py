"""The envelope of dispytch 0.x."""

import json
import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import DecodeError, EncodeError
from dispytch.messages import Delivery, Headers, Lease
from dispytch.serialization import CloudEvents, Envelope0x, JsonCodec

ANY: TypeAdapter[Any] = TypeAdapter(Any)
GOOD = {"id": "1", "type": "placed", "body": {"a": 1}, "timestamp": 1577836800.5}

text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


def delivered(value: bytes, headers: Headers = ()) -> Delivery:
    lease = Lease("orders", "orders[3]")
    return Delivery("orders", value, None, headers, lease, 42)


def read(event: Any, wire: Envelope0x | None = None) -> Envelope:
    return (wire or Envelope0x()).reader(("ce_",))(delivered(json.dumps(event).encode()))


def test_reading() -> None:
    assert read(GOOD) == Envelope(
        "1", "placed", None, "2020-01-01T00:00:00.500000+00:00", "application/json", b'{"a":1}'
    )


def test_reading_what_0_9_wrote_without_a_timestamp() -> None:
    event = {name: value for name, value in GOOD.items() if name != "timestamp"}
    assert read(event) == Envelope("1", "placed", None, None, "application/json", b'{"a":1}')


@given(text, text, values, st.datetimes(datetime(1974, 1, 1), datetime(2200, 1, 1)))
def test_what_is_written_is_read_again(id_: str, type_: str, body: Any, time: datetime) -> None:
    time = time.replace(tzinfo=UTC)
    data = JsonCodec().encode(ANY, body)
    wire = Envelope0x()
    value, headers = wire.writer(("ce_",))(
        Envelope(id_, type_, "ignored", time.isoformat(), "application/json", data)
    )
    assert set(json.loads(value)) == {"id", "type", "body", "timestamp"}
    # 0.10 validates it as an int.
    assert isinstance(json.loads(value)["timestamp"], int)
    assert headers == [("content-type", b"application/json")]
    delivery = delivered(value, headers)
    envelope = wire.reader(("ce_",))(delivery)
    assert (envelope.id, envelope.type, envelope.source) == (id_, type_, None)
    assert JsonCodec().decode(ANY, envelope.data) == JsonCodec().decode(ANY, data)
    timestamp = Event(body, envelope, delivery).timestamp
    assert timestamp is not None
    assert abs((timestamp - time).total_seconds()) <= 5.1e-4


@pytest.mark.parametrize("body", [10**30, math.inf, "größe 🌍", None, [], 1e-300])
def test_bodies_that_are_hard_to_carry(body: Any) -> None:
    assert JsonCodec().decode(ANY, read(GOOD | {"body": body}).data) == body


def test_nan_is_carried_too() -> None:
    assert math.isnan(JsonCodec().decode(ANY, read(GOOD | {"body": math.nan}).data))


@pytest.mark.parametrize(
    ("timestamp", "time"),
    [
        (0, "1970-01-01T00:00:00+00:00"),
        (1577836800, "2020-01-01T00:00:00+00:00"),
        (1577836800500, "2020-01-01T00:00:00.500000+00:00"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00+00:00"),
        ("2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00+02:00"),
    ],
)
def test_timestamps(timestamp: object, time: str) -> None:
    assert read(GOOD | {"timestamp": timestamp}).time == time


@pytest.mark.parametrize("timestamp", [10**400, 1e300, math.nan, math.inf, "yesterday", -(10**18)])
def test_a_timestamp_that_is_no_time(timestamp: object) -> None:
    with pytest.raises(DecodeError, match=r"the envelope's timestamp .* is no time: "):
        read(GOOD | {"timestamp": timestamp})


@pytest.mark.parametrize("timestamp", [None, {}, [1]])
def test_a_timestamp_of_another_kind(timestamp: object) -> None:
    with pytest.raises(DecodeError) as caught:
        read(GOOD | {"timestamp": timestamp})
    assert str(caught.value) == (
        f"the envelope's timestamp {timestamp!r} is neither a number nor a text"
    )


@pytest.mark.parametrize("type_", [None, 5, ["placed"]])
def test_a_type_that_is_no_text(type_: object) -> None:
    with pytest.raises(DecodeError) as caught:
        read(GOOD | {"type": type_})
    assert str(caught.value) == f"the envelope's type must be a text, not {type_!r}"


@pytest.mark.parametrize(
    "other",
    [{}, [], "text", {**GOOD, "more": 1}, {k: v for k, v in GOOD.items() if k != "id"}],
)
def test_everything_else_is_left_to_the_other_format(other: object) -> None:
    envelope = read(other, Envelope0x(otherwise=CloudEvents(type_of=lambda _: "plain")))
    assert (envelope.type, json.loads(envelope.data)) == ("plain", other)


def test_a_cloudevent_whose_body_looks_like_an_envelope_is_a_cloudevent() -> None:
    data = json.dumps(GOOD).encode()
    for prefix in ("cloudEvents_", "cloudEvents:"):
        headers = [
            (prefix + name, value)
            for name, value in {
                "specversion": b"1.0",
                "id": b"2",
                "type": b"other",
                "source": b"s",
            }.items()
        ]
        reader = Envelope0x().reader(("cloudEvents_", "cloudEvents:"))
        envelope = reader(delivered(data, headers))
        assert (envelope.id, envelope.type, envelope.data) == ("2", "other", data)


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_read_or_refused(value: bytes) -> None:
    with suppress(DecodeError):
        Envelope0x().reader(("ce_",))(delivered(value))


@given(st.fixed_dictionaries({name: values for name in GOOD}))
def test_whatever_an_envelope_holds_is_read_or_refused(event: dict[str, Any]) -> None:
    with suppress(DecodeError):
        read(event)


def test_bodies_other_than_json_cannot_be_written() -> None:
    envelope = Envelope("1", "t", None, None, "application/msgpack", b"\x80")
    with pytest.raises(EncodeError) as caught:
        Envelope0x().writer(("ce_",))(envelope)
    assert str(caught.value) == "the 0.x envelope holds JSON only, not 'application/msgpack'"
