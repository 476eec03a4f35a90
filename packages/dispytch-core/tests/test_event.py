"""`Event`, as a handler receives it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import DecodeError
from dispytch.messages import Delivery, Lease


def event(time: str | None = None, *, timestamp_ms: int | None = None) -> Event[int]:
    return Event(
        7,
        Envelope("the-id", "the-type", "the-source", time, "application/json", b"7"),
        Delivery(
            topic="orders",
            value=b"7",
            key=b"k\xff",
            headers=[("a", b"1"), ("b", b"\xff"), ("a", "größe".encode())],
            lease=Lease("orders", "orders[3]"),
            position=42,
            timestamp_ms=timestamp_ms,
        ),
        attempt=2,
    )


def test_it_tells_all_that_is_known() -> None:
    one = event()
    assert (one.body, one.id, one.type, one.source) == (7, "the-id", "the-type", "the-source")
    assert (one.topic, one.stream, one.position, one.attempt) == ("orders", "orders[3]", 42, 2)
    assert one.key == "k\\xff"
    assert one.headers == {"a": "größe", "b": "\\xff"}


def test_no_key_is_none() -> None:
    one = event()
    one.delivery.key = None
    assert one.key is None


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2020-02-03T04:05:06Z", datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2020-02-03t04:05:06z", datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2020-02-03T04:05:06.123456789Z", datetime(2020, 2, 3, 4, 5, 6, 123456, tzinfo=UTC)),
        (
            "2020-02-03T04:05:06.5+05:30",
            datetime(2020, 2, 3, 4, 5, 6, 500000, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        ),
        ("2020-02-03T04:05:06", datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)),
    ],
)
def test_its_time_has_a_zone(text: str, time: datetime) -> None:
    assert event(text).timestamp == time
    assert event(text, timestamp_ms=5).timestamp == time, "the producer's counts"


def test_without_a_time_the_brokers_counts() -> None:
    assert event(timestamp_ms=1500).timestamp == datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)
    assert event().timestamp is None


def test_a_time_that_is_none_is_named() -> None:
    with pytest.raises(DecodeError, match="the event's time 'yesterday' is not RFC 3339"):
        event("yesterday").timestamp  # noqa: B018


def test_events_are_compared_by_identity() -> None:
    one = event()
    assert one == one
    assert one != event()
