"""Dead letters that the broker refuses: smaller forms, a last resort, and never another body."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from dispytch import (
    DeadLetters,
    Event,
    EventListener,
    HandlerGroup,
    Reject,
    RetryPolicy,
)
from dispytch.exceptions import (
    EventHalted,
    MessageTooLarge,
    SendError,
    TopologyError,
    TransportError,
    Unroutable,
    Unsendable,
)
from dispytch.memory import MemoryBackend
from dispytch.memory.producer import MemoryProducer
from dispytch.messages import Message
from dispytch.testing.transport.reader import eventually
from dispytch.transport import Topology

Refusal = Callable[[Message], Exception | None]


class Broker:
    """An in-memory broker that refuses what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.backend = MemoryBackend(uuid4().hex, partitions=1)
        self.refuses: Refusal = lambda _: None
        self.refused: list[str] = []
        self.slowness = 0.0
        send = MemoryProducer.send

        async def refusing(
            producer: MemoryProducer, messages: Sequence[Message], *, delay: float | None = None
        ) -> None:
            for message in messages:
                if (error := self.refuses(message)) is not None:
                    self.refused.append(message.topic)
                    await asyncio.sleep(self.slowness)
                    if isinstance(error, TransportError):
                        raise SendError({0: error}, 1)
                    raise error
            await send(producer, messages, delay=delay)

        monkeypatch.setattr(MemoryProducer, "send", refusing)

    async def emit(self, value: bytes | None, headers: Any = ()) -> None:
        async with self.backend.producer() as producer:
            await producer.send([Message("orders", value, b"key", headers)])

    async def letters(self, topic: str | None = "orders") -> list[Any]:
        return await DeadLetters(self.backend, topic=topic, group="billing").read()


def size(message: Message) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in message.headers)
    return len(message.value or b"") + len(message.key or b"") + headers


def above(limit: int, *topics: str) -> Refusal:
    def refuses(message: Message) -> Exception | None:
        if message.topic in topics and size(message) > limit:
            return MessageTooLarge(f"{size(message)} bytes")
        return None

    return refuses


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    return Broker(monkeypatch)


def listening(
    broker: Broker, failures: int = 1, error: type[Exception] = ValueError, **options: Any
) -> tuple[EventListener, list[Any]]:
    seen: list[Any] = []
    group = HandlerGroup("orders")

    @group.handler(event=None)
    async def handle(event: Event) -> None:
        seen.append(event.body)
        if len(seen) <= failures:
            raise error("x" * 900)

    listener = EventListener(broker.backend, group="billing", **options)
    listener.add_handler_group(group)
    return listener, seen


BODY = b'"' + b"b" * 5_000 + b'"'
TEXT = "b" * 5_000


async def dead(listener: EventListener, count: int = 1) -> None:
    await eventually(lambda: listener.outcomes.dead_lettered >= count, "dead letters", 20.0)


@pytest.mark.parametrize("room", [20_000, 8_000, 6_800, 6_000])
async def test_what_dispytch_adds_goes_first_and_the_body_never(broker: Broker, room: int) -> None:
    broker.refuses = above(room, "orders.billing.dead")
    await broker.emit(BODY, [("h", b"1")])
    listener, _ = listening(broker)
    async with listener:
        await dead(listener)
    (letter,) = await broker.letters()
    assert (letter.value, letter.key, letter.headers) == (BODY, b"key", [("h", b"1")])
    assert not letter.by_reference


@pytest.mark.parametrize(("room", "headers"), [(3_000, 1), (900, 300)])
async def test_what_does_not_fit_is_a_letter_by_reference(
    broker: Broker, room: int, headers: int
) -> None:
    broker.refuses = above(room, "orders.billing.dead")
    own = [(f"h{number}", b"1") for number in range(headers)]
    await broker.emit(BODY, own)
    listener, seen = listening(broker)
    async with listener:
        await dead(listener)
        assert (await listener.health()).healthy
        (letter,) = await broker.letters()
        assert (letter.by_reference, letter.gone, letter.delivery.value) == (True, False, None)
        assert (letter.value, letter.key, list(letter.headers)) == (BODY, b"key", own)
        assert letter.place == ("orders[0]", 0)
        replayed = await DeadLetters(broker.backend, topic="orders", group="billing").replay()
        assert (replayed, replayed.left) == (1, {})
        await eventually(lambda: len(seen) == 2, "the replayed event", 5.0)
    assert seen == [TEXT, TEXT]


async def test_a_replay_says_what_is_gone_and_leaves_its_letter(monkeypatch: Any) -> None:
    broker = Broker(monkeypatch)
    broker.backend = MemoryBackend(uuid4().hex, partitions=1, retention=2)
    broker.refuses = above(3_000, "orders.billing.dead")
    await broker.emit(BODY)
    listener, _ = listening(broker)
    async with listener:
        await dead(listener)
        for _ in range(3):
            await broker.emit(b"1")
        await eventually(lambda: listener.outcomes.handled == 3, "later events", 5.0)
    (letter,) = await broker.letters()
    assert (letter.gone, letter.value, letter.key) == (True, None, b"key")
    letters = DeadLetters(broker.backend, topic="orders", group="billing")
    replayed = await letters.replay()
    assert replayed == 0
    assert list(replayed.left) == [letter.id]
    assert "gone" in replayed.left[letter.id]
    assert [one.id for one in await letters.read()] == [letter.id]


async def test_another_event_in_its_place_is_not_taken_for_it(broker: Broker) -> None:
    broker.refuses = above(3_000, "orders.billing.dead")
    await broker.emit(BODY)
    listener, _ = listening(broker)
    async with listener:
        await dead(listener)
    (letter,) = await broker.letters()
    other = Message("orders", BODY[:-2] + b'c"', b"key")
    assert letter.is_of(Message("orders", BODY))
    assert not letter.is_of(other)


@pytest.mark.parametrize(
    "refusal", [Unroutable("no queue"), Unsendable("no form"), TopologyError("no such name")]
)
async def test_a_topic_that_takes_nothing_is_replaced_by_the_groups_own(
    broker: Broker, refusal: Exception
) -> None:
    broker.refuses = lambda message: refusal if message.topic == "orders.billing.dead" else None
    await broker.emit(b"1", [("h", b"1")])
    listener, _ = listening(broker)
    async with listener:
        await dead(listener)
        assert (await listener.health()).healthy
    (letter,) = await broker.letters(topic=None)
    assert (letter.value, letter.key, letter.headers) == (b"1", b"key", [("h", b"1")])
    assert (letter.reason, letter.topic) == ("failed", "orders")
    assert str(refusal) in str(letter.refusal)
    assert "orders.billing.dead" in str(letter.refusal)
    assert await broker.letters() == []


async def test_what_no_topic_takes_stays_and_health_says_so(broker: Broker) -> None:
    broker.refuses = above(100, "orders.billing.dead", "billing.dead")
    await broker.emit(BODY)
    listener, _ = listening(broker)
    async with listener:
        await eventually(lambda: listener.outcomes.unsent >= 1, "a refusal", 5.0)
        health = await listener.health()
        assert not health.healthy
        assert any("'orders.billing.dead' takes nothing" in one for one in health.problems)
        assert health.in_flight == 1
        broker.refuses = lambda _: None
        await dead(listener)
        assert (await listener.health()).healthy
    (letter,) = await broker.letters()
    assert (letter.value, letter.refusal) == (BODY, None)


async def test_health_stays_red_while_all_of_it_is_tried_again_ever_more_seldom(
    broker: Broker,
) -> None:
    broker.slowness = 0.01
    broker.refuses = above(100, "orders.billing.dead", "billing.dead")
    await broker.emit(BODY)
    listener, _ = listening(broker)
    ends: list[float] = []
    async with listener:
        await eventually(lambda: listener.outcomes.unsent >= 1, "a refusal", 5.0)
        async with asyncio.timeout(20):
            while len(ends) < 3:
                assert not (await listener.health()).healthy
                await asyncio.sleep(0.001)
                if listener.outcomes.unsent > len(ends):
                    ends.append(time.monotonic())
        broker.refuses = lambda _: None
    first, second, third = ends
    assert third - second > 1.5 * (second - first)


async def test_a_stuck_event_keeps_health_red_though_others_are_sent_on(broker: Broker) -> None:
    listener, _ = listening(broker, failures=9)
    await broker.backend.prepare(_topology("orders"))
    async with listener:
        async with broker.backend.producer() as producer:
            broker.refuses = lambda _: None
            await producer.send([Message("orders", b"1", b"a")])
            broker.refuses = lambda message: (
                MessageTooLarge("no") if message.key in (b"a", None) else None
            )
            await eventually(lambda: listener.outcomes.unsent >= 1, "a refusal", 5.0)
            await producer.send([Message("orders", b"2", b"b")])
        await dead(listener)
        assert not (await listener.health()).healthy


@pytest.mark.parametrize("error", [ValueError, Reject])
async def test_a_delayed_attempt_that_is_not_taken_is_a_dead_letter_with_its_body(
    broker: Broker, error: type[Exception]
) -> None:
    broker.refuses = above(1_000, "billing.retry")
    retry = RetryPolicy(attempts=3, delay=0.01, delayed=True)
    await broker.emit(BODY)
    listener, seen = listening(broker, error=error, retry=retry)
    async with listener:
        await dead(listener)
    (letter,) = await broker.letters()
    assert (letter.value, seen) == (BODY, [TEXT])
    assert letter.reason == ("rejected" if error is Reject else "unsendable")


async def test_a_delayed_attempt_that_is_not_taken_goes_by_the_policy(broker: Broker) -> None:
    broker.refuses = above(1_000, "billing.retry")
    retry = RetryPolicy(attempts=3, delay=0.01, delayed=True)
    await broker.emit(BODY)
    listener, _ = listening(broker, retry=retry, dead_letter="drop")
    async with listener:
        await eventually(lambda: listener.outcomes.dropped == 1, "the event dropped", 5.0)
    await broker.emit(BODY)
    listener, _ = listening(broker, retry=retry, dead_letter="halt")
    with pytest.raises(EventHalted, match="bytes"):
        async with listener, asyncio.timeout(5):
            await listener.stopped()


async def test_a_reply_that_never_fits_leaves_a_dead_letter_of_its_request(broker: Broker) -> None:
    broker.refuses = above(1_000, "asker.replies")
    group = HandlerGroup("orders")

    @group.handler(event=None)
    async def handle(event: Event) -> str:
        return "done"

    listener = EventListener(broker.backend, group="billing")
    listener.add_handler_group(group)
    asked = [
        ("dispytch-reply-to", b"asker.replies"),
        ("dispytch-correlation-id", b"c" * 2_000),
    ]
    await broker.backend.prepare(_topology("asker.replies"))
    await broker.emit(b"1", asked)
    async with listener:
        await dead(listener)
    (letter,) = await broker.letters()
    assert (letter.reason, letter.value, letter.headers) == ("unanswerable", b"1", asked)


def _topology(topic: str) -> Topology:
    return Topology(topics=(topic,))


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dispytch")
