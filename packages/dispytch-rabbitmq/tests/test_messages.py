"""Messages of dispytch as messages of AMQP, and back; foreign ones too."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from aiormq.abc import DeliveredMessage
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader
from pydantic import ValidationError

from dispytch.envelope import Envelope
from dispytch.messages import Header, Lease, Message
from dispytch.rabbitmq import RabbitMQBackend, RabbitMQEventConfig
from dispytch.rabbitmq.driver import Properties, write_properties
from dispytch.rabbitmq.messages import KEY_HEADERS, NULL_HEADER, RabbitMQDelivery, properties
from dispytch.rabbitmq.properties import read_properties
from dispytch.rabbitmq.topology import KEY_HEADER
from dispytch.serialization import CloudEvents
from dispytch.signing import Signer

names = st.text(max_size=20).filter(lambda name: name not in ("content-type", *KEY_HEADERS))


def over_the_wire(sent: Properties) -> Properties:
    """Properties as a receiver sees them."""
    return read_properties(write_properties(sent))


def read(sent: Properties, body: bytes = b"") -> RabbitMQDelivery:
    header = ContentHeader(properties=over_the_wire(sent))
    frame = Basic.Deliver("dispytch", 1, False, "x", "t")
    delivered = DeliveredMessage(frame, header, body, cast(Any, None))
    return RabbitMQDelivery(Lease("t", "q"), "t", delivered, header.properties)


def own(got: RabbitMQDelivery) -> list[Header]:
    return [header for header in got.headers if header[0] != KEY_HEADER]


@given(
    st.dictionaries(names, st.none() | st.binary(max_size=40), max_size=6),
    st.none() | st.binary(max_size=40),
    st.none() | st.text("abc/+;= é", min_size=1, max_size=30),
)
def test_headers_key_and_content_type_come_back_as_they_went(
    headers: dict[str, bytes | None], key: bytes | None, content_type: str | None
) -> None:
    given_headers = list(headers.items())
    if content_type is not None:
        given_headers.append(("content-type", content_type.encode()))
    got = read(properties(Message("t", b"", key=key, headers=given_headers)))
    assert sorted(own(got)) == sorted(given_headers)
    assert got.key == key


def test_the_headers_of_an_event_come_back_in_the_order_in_which_it_is_read_the_fastest() -> None:
    write = CloudEvents().writer(RabbitMQBackend.features.attribute_prefixes)
    value, headers = write(Envelope("1", "placed", "shop", "2026-01-01T00:00:00Z", None, b"{}"))
    assert read(properties(Message("t", value, b"k", headers))).headers == headers


@pytest.mark.parametrize("value", [None, b""])
def test_a_message_without_a_value_stays_one_and_an_empty_one_stays_empty(
    value: bytes | None,
) -> None:
    first = read(properties(Message("t", value, b"key", [("a", b"1")])))
    again = read(properties(Message("t", first.value, first.key, first.headers, repeats=first)))
    for one in (first, again):
        assert (one.value, one.key, own(one)) == (value, b"key", [("a", b"1")])


def test_only_an_empty_body_can_be_marked_as_none() -> None:
    marked = properties(Message("t", None))
    assert read(marked, b"{}").value == b"{}"
    named = read(properties(Message("t", b"", None, [(NULL_HEADER, b"true")])))
    assert (named.value, own(named)) == (b"", [(NULL_HEADER, b"true")])


def test_a_repeated_name_comes_back_repeated() -> None:
    sent = [("a", b"1"), ("a", b"\xff"), ("b", b"2")]
    assert own(read(properties(Message("t", b"", headers=sent)))) == sent


def test_foreign_clients_see_strings_or_byte_arrays() -> None:
    headers = [("s", "ä".encode()), ("b", b"\xff")]
    seen = over_the_wire(properties(Message("t", b"", key=b"k", headers=headers)))
    assert seen.headers == {"s": "ä", "b": bytearray(b"\xff"), "cloudEvents_partitionkey": "k"}
    assert seen.delivery_mode == 2


@pytest.mark.parametrize(
    "name", ["cloudEvents_partitionkey", "cloudEvents:partitionkey", "ce-partitionkey"]
)
def test_a_key_is_found_in_each_spelling_of_the_extension(name: str) -> None:
    got = read(Properties(headers={name: "k"}))
    assert got.key == b"k"
    assert list(got.headers) == ([] if name == KEY_HEADER else [(name, b"k")])


def test_typed_headers_of_foreign_producers_are_read_as_text() -> None:
    raw = Properties(
        headers={
            "array": ["x", 1],
            "bool": True,
            "float": 1.5,
            "int": -7,
            "none": None,
            "table": {"a": 1},
            "time": datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC),
        }
    )
    assert list(read(raw).headers) == [
        ("array", b"x"),
        ("array", b"1"),
        ("bool", b"true"),
        ("float", b"1.5"),
        ("int", b"-7"),
        ("none", None),
        ("table", b'{"a": 1}'),
        ("time", b"1000000000000"),
    ]


def test_type_and_message_id_are_read_as_headers() -> None:
    raw = Properties(message_type="order", message_id="7", headers={"x": "y"})
    assert dict(read(raw).headers) == {"x": b"y", "type": b"order", "message-id": b"7"}
    assert read(raw).key is None


def test_a_header_wins_over_the_property_of_its_name() -> None:
    raw = Properties(message_type="property", headers={"type": "header"})
    assert list(read(raw).headers) == [("type", b"header")]


def test_the_timestamp_is_in_seconds_or_where_too_large_in_milliseconds() -> None:
    moment = datetime.fromtimestamp(1_700_000_000, tz=UTC)
    assert read(Properties(timestamp=moment)).timestamp_ms == 1_700_000_000_000
    written_in_milliseconds = datetime.fromtimestamp(1_700_000_000.123, tz=UTC)
    header = ContentHeader(properties=Properties(timestamp=written_in_milliseconds))
    frame = Basic.Deliver("dispytch", 1, False, "x", "t")
    delivered = DeliveredMessage(frame, header, b"", cast(Any, None))
    got = RabbitMQDelivery(Lease("t", "q"), "t", delivered, header.properties)
    assert got.timestamp_ms == 1_700_000_000_123


def test_what_an_event_sets_is_what_foreign_clients_see() -> None:
    config = RabbitMQEventConfig(
        priority=3,
        expiration=timedelta(seconds=1.5),
        timestamp=datetime.fromtimestamp(1_000, tz=UTC),
        correlation_id="c",
        reply_to="r",
        message_id="m",
        type="t",
        user_id="u",
        app_id="a",
        content_encoding="gzip",
        headers={"n": 5, "yes": True, "mine": "config"},
    )
    message = Message("t", b"", headers=[("mine", b"event"), ("content-type", b"text/plain")])
    seen = over_the_wire(properties(message, config))
    expected = Properties(
        content_type="text/plain",
        content_encoding="gzip",
        headers={"n": 5, "yes": True, "mine": "event"},
        delivery_mode=2,
        priority=3,
        correlation_id="c",
        reply_to="r",
        expiration="1500",
        message_id="m",
        timestamp=datetime.fromtimestamp(1_000, tz=UTC),
        message_type="t",
        user_id="u",
        app_id="a",
    )
    assert seen == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": 256},
        {"expiration": 0},
        {"timestamp": datetime(1950, 1, 1, tzinfo=UTC)},
        {"colour": "red"},
    ],
)
def test_a_wrong_event_config_is_refused_when_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RabbitMQEventConfig(**wrong)


@pytest.mark.parametrize("headers", [[("n" * 129, b"")], [("content-type", b"x" * 256)]])
def test_what_does_not_fit_is_refused(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ValueError, match=r"longer than \d+ bytes"):
        properties(Message("t", b"", headers=headers))


def test_an_edit_that_removes_a_header_removes_the_property_that_it_stood_for() -> None:
    came = read(Properties(message_type="order", message_id="7", headers={"x": "y"}))
    again = properties(Message("t", b"1", None, [("x", b"y")], repeats=came))
    assert (again.message_type, again.message_id) == (None, None)
    same = properties(Message("t", b"1", None, came.headers, repeats=came))
    assert (same.message_type, same.message_id) == ("order", "7")


def test_a_second_content_type_is_kept() -> None:
    headers = [("content-type", b"a/b"), ("content-type", b"c/d")]
    assert list(read(properties(Message("t", b"1", None, headers))).headers) == headers


@pytest.mark.parametrize(
    "added",
    [
        {"x-delivery-count": 2},
        {"x-acquired-count": 3},
        {"x-death": [{"queue": "q", "count": 1}], "x-first-death-queue": "q"},
        {"x-last-death-reason": "expired", "x-routed-by": "rabbit@here", "timestamp_in_ms": 1},
    ],
    ids=str,
)
def test_what_the_broker_writes_into_a_signed_message_does_not_count(added: dict[str, Any]) -> None:
    signer = Signer([b"0123456789abcdef"], RabbitMQBackend.features)
    came = read(Properties(headers={"a": 17, "b": 1.5, "c": ["x", None], "x-death": "no"}), b"1")
    sent = Message("g.retry", b"1", b"k", came.headers, repeats=came)
    signer.sign(sent, ("retry", "g"))
    wire = properties(sent)
    wire.headers = {**(wire.headers or {}), **added}
    wire.message_id = "made up by the producer"
    assert signer.doubt(read(wire, b"1"), ("retry", "g")) is None
    assert signer.doubt(read(wire, b"2"), ("retry", "g")) is not None
