"""Properties read leniently: as the driver reads them, and whatever it cannot."""

import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from dispytch.rabbitmq.fields import DEEPEST
from dispytch.rabbitmq.properties import Properties, read_properties, write_properties

NAMES = [name for name in Basic.Properties.flags if name != "cluster_id"]
FLAGS = Basic.Properties.flags

texts = st.text(min_size=1, max_size=30)
moments = st.integers(0, 0xFFFFFFFF).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False),
    st.decimals(-20_000, 20_000, places=4, allow_nan=False),
    moments,
    st.text(max_size=30),
    st.binary(max_size=30).map(bytearray),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
well_formed = st.builds(
    lambda given: Basic.Properties(**given),
    st.fixed_dictionaries(
        {},
        optional={
            "headers": st.dictionaries(texts, values, max_size=6),
            "delivery_mode": st.sampled_from([1, 2]),
            "priority": st.integers(0, 255),
            "timestamp": moments,
            **{name: texts for name in NAMES if Properties.amqp_type(name) == "shortstr"},
        },
    ),
)


def by_the_driver(raw: bytes) -> Basic.Properties:
    header = ContentHeader()
    header.unmarshal(struct.pack(">HHQ", 60, 0, 0) + raw)
    return header.properties


def short(raw: bytes) -> bytes:
    return bytes([len(raw)]) + raw


def table(*entries: tuple[bytes, bytes]) -> bytes:
    inner = b"".join(short(name) + value for name, value in entries)
    return struct.pack(">I", len(inner)) + inner


def raw_properties(**parts: bytes) -> bytes:
    flags = sum(FLAGS[name] for name in parts)
    return struct.pack(">H", flags) + b"".join(parts[name] for name in FLAGS if name in parts)


@given(well_formed)
def test_what_the_driver_reads_is_read_as_it_does(sent: Basic.Properties) -> None:
    raw = sent.marshal()
    got = read_properties(raw)
    assert got == by_the_driver(raw)
    assert got.unreadable is None


@given(well_formed)
def test_what_is_read_is_written_again_byte_for_byte(sent: Basic.Properties) -> None:
    raw = sent.marshal()
    assert write_properties(read_properties(raw)) == raw


@given(st.binary(max_size=200))
def test_any_bytes_are_read_and_what_is_read_can_be_written(raw: bytes) -> None:
    got = read_properties(raw)
    again = read_properties(write_properties(got))
    assert again.unreadable is None
    assert again.wire == got.wire


@given(st.binary(max_size=200))
def test_any_bytes_of_a_table_are_read_and_what_follows_it_is_there(raw: bytes) -> None:
    headers = struct.pack(">I", len(raw)) + raw
    got = read_properties(raw_properties(headers=headers, message_id=short(b"id")))
    assert got.message_id == "id"


NOW = 1_764_000_000


@pytest.mark.parametrize("count", [NOW * 10**6, NOW * 10**9, 2**64 - 1, 253_402_300_800_000])
def test_a_timestamp_that_is_no_time_is_kept_as_the_number(count: int) -> None:
    raw = raw_properties(timestamp=struct.pack(">Q", count))
    got = read_properties(raw)
    assert (got.timestamp, got.unreadable) == (count, None)
    assert write_properties(got) == raw


def test_a_timestamp_in_milliseconds_is_written_as_it_came() -> None:
    raw = raw_properties(timestamp=struct.pack(">Q", NOW * 1000 + 123))
    got = read_properties(raw)
    assert got.timestamp == datetime.fromtimestamp(NOW + 0.123, UTC)
    assert write_properties(got) == raw


@pytest.mark.parametrize(
    "name", [name for name in NAMES if Properties.amqp_type(name) == "shortstr"]
)
def test_a_short_string_that_is_not_utf_8_is_written_as_it_came(name: str) -> None:
    raw = raw_properties(**{name: short(b"a\xff\xfe\x80z")})
    got = read_properties(raw)
    assert (getattr(got, name), got.unreadable) == ("a\udcff\udcfe\udc80z", None)
    assert write_properties(got) == raw


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"T" + struct.pack(">Q", NOW * 10**6), NOW * 10**6),
        (b"d" + struct.pack(">d", 1e300), 1e300),
        (b"S\x00\x00\x00\x02\xff\xfe", b"\xff\xfe"),
        (b"D\xff" + struct.pack(">i", -7), Decimal(-7).scaleb(-255)),
        (b"L" + struct.pack(">q", 7), 7),
        (b"\x00", None),
        (b"F" + table((b"\xff", b"V")), {"\udcff": None}),
        (b"A" + struct.pack(">I", 0), []),
    ],
)
def test_a_value_that_the_driver_cannot_write_again_is_written_as_it_came(
    value: bytes, read: Any
) -> None:
    raw = raw_properties(headers=table((b"n\xff" * 60, value)))
    got = read_properties(raw)
    assert got.headers == {"n\udcff" * 60: read}
    assert got.unreadable is None
    assert write_properties(got) == raw


def nested(levels: int) -> bytes:
    value = b"V"
    for _ in range(levels):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"?", "no type of AMQP's values is b'?'"),
        (nested(DEEPEST + 1), "nested deeper than 64 levels"),
        (nested(20_000), "nested deeper than 64 levels"),
        (b"I\x00", "longer than what it is in"),
        (b"S\x7f\xff\xff\xff", "longer than what it is in"),
        (b"", "ends in mid-value"),
        (b"A" + struct.pack(">I", 1) + b"?", "no type of AMQP's values is b'?'"),
    ],
)
def test_what_cannot_be_told_is_said_and_the_rest_is_there(value: bytes, why: str) -> None:
    headers = table((b"good", b"t\x01"), (b"bad", value))
    got = read_properties(raw_properties(headers=headers, message_id=short(b"id")))
    assert got.unreadable is not None
    assert got.unreadable.startswith("header 'bad'")
    assert why in got.unreadable
    assert (got.headers, got.message_id) == ({"good": True}, "id")


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\x80\x00", b"\x80\x00\x05abc", b"\x00\x40abc"])
def test_properties_that_end_too_soon_are_said_to(raw: bytes) -> None:
    assert "end in mid-" in (read_properties(raw).unreadable or "")


def test_arrays_are_as_deep_as_allowed() -> None:
    got = read_properties(raw_properties(headers=table((b"deep", nested(DEEPEST)))))
    assert got.unreadable is None
