"""Requests and replies on the wire."""

import pickle
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from dispytch.dead_letters import MESSAGE_CUT, Failure, dead_letter
from dispytch.exceptions import BodyInvalid, DecodeError, EncodeError, RequestFailed
from dispytch.messages import CORRELATION_ID, REPLY_TO, Delivery, Lease, Message
from dispytch.printable import printable
from dispytch.redelivery import Redelivery
from dispytch.replies import Asked, ReplyReader, ReplyWriter, reply_topic, too_large


class Price(BaseModel):
    cents: int


ASKED = Asked("shop.replies", b"abc.1")
WRITER = ReplyWriter(source="pricing", prefixes=["ce_"])
READER = ReplyReader(prefixes=["ce_", "other_"])
PRICE = TypeAdapter(Price)


def delivered(message: Message) -> Delivery:
    return Delivery(
        message.topic,
        message.value,
        message.key,
        message.headers,
        lease=Lease(message.topic, message.topic),
        position=1,
    )


@pytest.mark.parametrize(
    ("source", "topic"),
    [
        ("shop", "shop.replies"),
        ("/shop", "shop.replies"),
        ("https://example.org/shop?x=1", "https-example-org-shop-x-1.replies"),
        ("schlüssel dienst", "schl-ssel-dienst.replies"),
        ("/", "dispytch.replies"),
    ],
)
def test_the_topic_for_replies_is_a_name_that_any_broker_can_have(source: str, topic: str) -> None:
    assert reply_topic(source) == topic


def test_a_message_is_a_request_with_both_headers_only() -> None:
    assert Asked.of([("other", b""), *ASKED.headers]) == ASKED
    for header in ASKED.headers:
        assert Asked.of([header]) is None


@pytest.mark.parametrize("value", [Price(cents=5), {"cents": 5}, {"cents": "5"}])
def test_a_reply_is_what_the_annotation_makes_of_it(value: object) -> None:
    message = WRITER.reply(ASKED, PRICE, value)
    headers = dict(message.headers)
    assert (message.topic, message.value) == ("shop.replies", b'{"cents":5}')
    assert headers[CORRELATION_ID] == b"abc.1"
    assert headers["ce_type"] == b"dispytch.reply"
    assert headers["ce_source"] == b"pricing"
    assert Asked.of(message.headers) is None
    assert READER.value(delivered(message), PRICE, "request") == Price(cents=5)


def test_none_is_a_reply() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Price | None)
    message = WRITER.reply(ASKED, adapter, None)
    assert READER.value(delivered(message), adapter, "request") is None


def test_a_reply_that_the_annotation_refuses_is_not_written_and_shows_no_value() -> None:
    with pytest.raises(EncodeError, match="cents: ") as refused:
        WRITER.reply(ASKED, PRICE, {"cents": "my secret"})
    assert "secret" not in str(refused.value)


def test_a_reply_of_another_type_than_was_asked_for_is_refused() -> None:
    message = WRITER.reply(ASKED, TypeAdapter(int), 5)
    with pytest.raises(BodyInvalid):
        READER.value(delivered(message), PRICE, "request")
    message.value = b"{"
    with pytest.raises(DecodeError):
        READER.value(delivered(message), PRICE, "request")


def test_a_failure_names_reason_handler_type_and_text() -> None:
    message = WRITER.failure(ASKED, "failed", "shop.price", ValueError("no ünit " + "x" * 5000))
    with pytest.raises(RequestFailed) as failed:
        READER.value(delivered(message), PRICE, "request GetPrice")
    for error in (failed.value, pickle.loads(pickle.dumps(failed.value))):
        assert error.reason == "failed"
        assert error.handler == "shop.price"
        assert error.error_type == "builtins.ValueError"
        assert error.message == printable("no ünit " + "x" * 5000, MESSAGE_CUT)
        assert str(error).startswith(
            "request GetPrice has failed (failed) in handler shop.price: builtins.ValueError: no"
        )


def test_a_reply_that_is_too_large_becomes_a_failure_that_says_so() -> None:
    message = too_large(WRITER.reply(ASKED, TypeAdapter(str), "x" * 1000))
    assert dict(message.headers)[CORRELATION_ID] == b"abc.1"
    with pytest.raises(RequestFailed, match="1002 bytes") as failed:
        READER.value(delivered(message), PRICE, "request")
    assert failed.value.reason == "unanswerable"
    assert failed.value.error_type == "dispytch.exceptions.MessageTooLarge"


def test_a_request_stays_one_wherever_it_is_sent_on() -> None:
    request = delivered(Message("prices", b"{}", None, [*ASKED.headers, ("dispytch-due", b"1")]))
    failure = Failure("failed", ValueError())
    for message in (
        Redelivery(topic="prices").message(request, "pricing"),
        dead_letter(request, failure, destination="dead", group="pricing"),
    ):
        assert Asked.of(message.headers) == ASKED
        names = [name for name, _ in message.headers]
        assert names.count(REPLY_TO) == 1
        assert "dispytch-due" not in names
