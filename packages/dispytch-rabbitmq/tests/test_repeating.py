"""What a message that is sent on keeps of the delivery that it repeats."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from dispytch.messages import Lease, Message
from dispytch.rabbitmq import RabbitMQEventConfig
from dispytch.rabbitmq.driver import Properties, write_properties
from dispytch.rabbitmq.messages import RabbitMQDelivery, properties
from dispytch.rabbitmq.properties import read_properties

NATIVE: dict[str, Any] = {
    "number": 5,
    "yes": True,
    "nothing": None,
    "when": datetime(2026, 1, 2, tzinfo=UTC),
    "table": {"a": [1, "x"]},
    "array": ["x", 1],
    "empty": [],
    "text": "ä",
    "bytes": bytearray(b"\xff"),
    "ce-partitionkey": "k",
}
GIVEN: dict[str, Any] = {
    "content_type": "application/json",
    "content_encoding": "gzip",
    "correlation_id": "c",
    "reply_to": "r",
    "message_id": "m",
    "message_type": "paid",
    "app_id": "a",
    "priority": 7,
    "timestamp": datetime(2026, 1, 2, tzinfo=UTC),
}


def over_the_wire(sent: Properties) -> Properties:
    return read_properties(write_properties(sent))


def received(sent: Properties) -> RabbitMQDelivery:
    frame = Basic.Deliver("dispytch", 1, False, "x", "t")
    header = ContentHeader(properties=over_the_wire(sent))
    delivered = DeliveredMessage(frame, header, b"{}", cast(Any, None))
    return RabbitMQDelivery(Lease("t", "q"), "t", delivered, header.properties)


def sent_on(first: RabbitMQDelivery, *more: tuple[str, bytes], **config: Any) -> Properties:
    headers = [*first.headers, *more]
    message = Message("other", first.value, first.key, headers, repeats=first)
    return over_the_wire(properties(message, RabbitMQEventConfig(**config), "guest"))


def test_properties_and_types_are_kept() -> None:
    again = sent_on(received(Properties(headers=NATIVE, **GIVEN)), ("dispytch-reason", b"failed"))
    before: Any = over_the_wire(Properties(headers=NATIVE)).headers
    assert again.headers == {**before, "dispytch-reason": "failed"}
    for name, value in GIVEN.items():
        assert getattr(again, name) == value
    assert again.delivery_mode == 2


def test_no_header_appears_that_was_not_there() -> None:
    assert sent_on(received(Properties(**GIVEN))).headers in (None, {})


def test_a_header_that_was_changed_is_what_it_was_changed_to() -> None:
    first = received(Properties(headers={"number": 5, "type": "own"}, message_type="paid"))
    first.headers = [("number", b"6"), ("type", b"other")]
    again = sent_on(first)
    assert again.headers == {"number": "6", "type": "other"}
    assert again.message_type == "paid"


def test_a_property_whose_header_was_changed_is_not_kept_beside_it() -> None:
    first = received(Properties(headers={}, message_type="paid"))
    first.headers = [("type", b"refunded")]
    again = sent_on(first)
    assert (again.headers, again.message_type) == ({"type": "refunded"}, None)


def test_an_expiration_and_a_strangers_user_id_are_not_kept() -> None:
    again = sent_on(received(Properties(headers={}, expiration="5", user_id="somebody")))
    assert (again.expiration, again.user_id) == (None, None)
    assert sent_on(received(Properties(headers={}, user_id="guest"))).user_id == "guest"


def test_the_events_own_configuration_wins() -> None:
    again = sent_on(received(Properties(headers={}, **GIVEN)), priority=3, correlation_id="d")
    assert (again.priority, again.correlation_id, again.reply_to) == (3, "d", "r")


def test_a_changed_key_is_written() -> None:
    first = received(Properties(headers={"cloudEvents_partitionkey": "k"}))
    first.key = b"other"
    assert sent_on(first).headers == {"cloudEvents_partitionkey": "other"}


@pytest.mark.parametrize("queue", ["dispytch.#.delay.5000:t", "dispytch.#.delay.5000.2900:t"])
def test_what_the_broker_adds_to_a_delayed_message_is_not_read(queue: str) -> None:
    ours = {"queue": queue, "reason": "expired", "count": 1}
    first_death = {
        "x-first-death-queue": ours["queue"],
        "x-first-death-reason": "expired",
        "x-first-death-exchange": "",
    }
    headers: Any = {"a": "1", "x-death": [ours], **first_death}
    assert list(received(Properties(headers=headers)).headers) == [("a", b"1")]


def test_what_the_broker_says_of_other_deaths_is_read() -> None:
    ours = {"queue": "dispytch.#.delay.5000:t", "reason": "expired", "count": 1}
    theirs = {"queue": "elsewhere", "reason": "rejected", "count": 1}
    headers: Any = {"x-death": [ours, theirs], "x-first-death-queue": "elsewhere"}
    got = dict(received(Properties(headers=headers)).headers)
    assert set(got) == {"x-death", "x-first-death-queue"}
    assert b"elsewhere" in got["x-death"]
    assert b"delay" not in got["x-death"]
