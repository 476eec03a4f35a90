"""Messages of dispytch as messages of AMQP, and back; foreign ones, and damaged ones."""

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, header
from pydantic import ValidationError

from dispytch.messages import Lease, Message
from dispytch.rabbitmq import RabbitMQEventConfig
from dispytch.rabbitmq.amqp.frames import Delivered
from dispytch.rabbitmq.amqp.properties import read_properties
from dispytch.rabbitmq.messages import RabbitMQDelivery, content_header, delivery

names = st.text(max_size=20).filter(lambda name: name not in ("content-type", "dispytch-key"))


def read(raw: bytes, body: bytes = b"") -> RabbitMQDelivery:
    return delivery(Lease("t", "q"), Delivered(1, False, "x", "t"), raw, body)


def foreign(**properties: Any) -> bytes:
    return header.ContentHeader(0, 0, commands.Basic.Properties(**properties)).marshal()


@given(
    st.dictionaries(names, st.binary(max_size=40), max_size=6),
    st.none() | st.binary(max_size=40),
    st.none() | st.text("abc/+;= é", min_size=1, max_size=30),
)
def test_headers_key_and_content_type_come_back_as_they_went(
    headers: dict[str, bytes], key: bytes | None, content_type: str | None
) -> None:
    given_headers = list(headers.items())
    if content_type is not None:
        given_headers.append(("content-type", content_type.encode()))
    got = read(content_header(Message("t", b"", key=key, headers=given_headers)))
    assert list(got.headers) == given_headers
    assert got.key == key


def test_a_repeated_name_comes_back_repeated() -> None:
    sent = [("a", b"1"), ("a", b"\xff"), ("b", b"2")]
    assert list(read(content_header(Message("t", b"", headers=sent))).headers) == sent


def test_foreign_clients_see_strings_or_byte_arrays() -> None:
    raw = content_header(Message("t", b"", key=b"k", headers=[("s", "ä".encode()), ("b", b"\xff")]))
    seen = header.ContentHeader()
    seen.unmarshal(raw)
    assert seen.properties.headers == {"s": "ä", "b": bytearray(b"\xff"), "dispytch-key": "k"}
    assert seen.properties.delivery_mode == 2


def test_typed_headers_of_foreign_producers_are_read_as_text() -> None:
    raw = foreign(
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
        ("none", b""),
        ("table", b'{"a": 1}'),
        ("time", b"1000000000"),
    ]


def test_type_and_message_id_are_read_as_headers() -> None:
    raw = foreign(message_type="order", message_id="7", headers={"x": "y"})
    assert dict(read(raw).headers) == {"x": b"y", "type": b"order", "message-id": b"7"}
    assert read(raw).key is None


def test_a_header_wins_over_the_property_of_its_name() -> None:
    raw = foreign(message_type="property", headers={"type": "header"})
    assert list(read(raw).headers) == [("type", b"header")]


def test_the_timestamp_is_in_seconds_or_where_too_large_in_milliseconds() -> None:
    moment = datetime.fromtimestamp(1_700_000_000, tz=UTC)
    assert read(foreign(timestamp=moment)).timestamp_ms == 1_700_000_000_000
    raw = struct.pack(">HHQHQ", 60, 0, 0, 1 << 6, 1_700_000_000_123)
    assert read(raw).timestamp_ms == 1_700_000_000_123


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
        headers={"n": 5, "yes": True, "f": 0.1, "mine": "config"},
    )
    message = Message("t", b"", headers=[("mine", b"event"), ("content-type", b"text/plain")])
    seen = header.ContentHeader()
    seen.unmarshal(content_header(message, config))
    expected = commands.Basic.Properties(
        content_type="text/plain",
        content_encoding="gzip",
        headers={"n": 5, "yes": True, "f": 0.1, "mine": "event"},
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
    assert seen.properties == expected


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


@pytest.mark.parametrize("headers", [[("n" * 256, b"")], [("content-type", b"x" * 256)]])
def test_what_does_not_fit_is_refused(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ValueError, match="longer than 255 bytes"):
        content_header(Message("t", b"", headers=headers))


def test_texts_that_are_no_utf8_keep_their_bytes() -> None:
    raw = struct.pack(">HHQH", 60, 0, 0, 1 << 5) + b"\x04caf\xe9"
    assert dict(read(raw).headers) == {"type": b"caf\xe9"}


def test_a_date_beyond_the_calendar_is_only_a_number() -> None:
    assert read(struct.pack(">HHQHQ", 60, 0, 0, 1 << 6, 2**62)).timestamp_ms == 2**62


def test_damaged_headers_cost_only_what_follows_them() -> None:
    table = b"\x01aS\x00\x00\x00\x01x" + b"\x01b?"
    raw = struct.pack(">HHQHI", 60, 0, 0, 1 << 13 | 1 << 5, len(table)) + table + b"\x01t"
    got = read(raw)
    assert list(got.headers) == [("a", b"x"), ("type", b"t")]
    assert got.properties.damage is not None
    assert got.raw_header == raw


@given(st.binary(max_size=80))
def test_no_bytes_are_an_error(raw: bytes) -> None:
    read_properties(struct.pack(">HHQH", 60, 0, 0, 0xFFFC) + raw)
    read_properties(struct.pack(">HHQHI", 60, 0, 0, 1 << 13, len(raw)) + raw)
    read_properties(raw)
