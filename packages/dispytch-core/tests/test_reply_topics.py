"""Where replies may go, and that they make no topics."""

import logging
from uuid import uuid4

import pytest

from dispytch import Event, EventListener, HandlerGroup
from dispytch.exceptions import ConfigurationError, SendError, Unroutable
from dispytch.memory import MemoryBackend
from dispytch.messages import Message
from dispytch.replies import ReplyTopics
from dispytch.testing.transport.reader import eventually
from dispytch.transport import Topology


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("shop.replies", True),
        ("shop.replies." + "0a" * 16, True),
        ("orders", False),
        ("orders.replies.paid", False),
        ("a.b.replies", False),
        ("orders.shop.replies." + "0a" * 16, False),
        ("billing.retry", False),
        ("", False),
        ("shop.replies\n", False),
        ("answers", True),
        ("answers.7", True),
        ("answers.7.8", False),
    ],
)
def test_replies_go_to_requesters_and_where_they_are_allowed(topic: str, allowed: bool) -> None:
    assert ReplyTopics(["answers", "answers.*"]).may_have(topic) is allowed


@pytest.mark.parametrize("wrong", ["answers", [""], [1], 7])
def test_what_is_no_list_of_topics_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="reply_topics"):
        EventListener("memory://", group="g", reply_topics=wrong)  # type: ignore[arg-type]


async def _answered(reply_to: str, caplog: pytest.LogCaptureFixture, *, there: bool) -> bool:
    caplog.set_level(logging.DEBUG, "dispytch")
    backend = MemoryBackend(uuid4().hex)
    if there:
        await backend.prepare(Topology(topics=(reply_to,)))
    group = HandlerGroup("orders")

    @group.handler(event=None)
    async def handle(event: Event) -> str:
        return "done"

    listener = EventListener(backend, group="billing")
    listener.add_handler_group(group)
    headers = [("dispytch-reply-to", reply_to.encode()), ("dispytch-correlation-id", b"1")]
    async with listener:
        async with backend.producer() as producer:
            await producer.send([Message("orders", b"1", None, headers)])
        await eventually(lambda: listener.outcomes.handled == 1, "the request", 5.0)
        await eventually(
            lambda: (
                "none for replies" in caplog.text
                or listener.outcomes.answered + listener.outcomes.unwanted == 1
            ),
            "its reply",
            5.0,
        )
    return listener.outcomes.answered == 1


async def test_a_reply_is_sent_to_a_requester(caplog: pytest.LogCaptureFixture) -> None:
    assert await _answered(f"asker.replies.{uuid4().hex}", caplog, there=True)


async def test_a_reply_to_another_topic_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    assert not await _answered("payments", caplog, there=True)
    assert "does not answer to topic 'payments'" in caplog.text


async def test_a_reply_makes_no_topic(caplog: pytest.LogCaptureFixture) -> None:
    assert not await _answered(f"asker.replies.{uuid4().hex}", caplog, there=False)


async def test_what_needs_a_reader_makes_no_topic() -> None:
    backend = MemoryBackend(uuid4().hex)
    async with backend.producer() as producer:
        for _ in range(2):
            with pytest.raises(SendError) as refused:
                await producer.send([Message("nowhere", b"1", needs_reader=True)])
            assert isinstance(refused.value.failures[0], Unroutable)
