"""Headers of dispytch's own that somebody else has written."""

from typing import Any
from uuid import uuid4

import pytest

from dispytch import DeadLetters, Event, EventListener, HandlerGroup, RetryPolicy
from dispytch.memory import MemoryBackend
from dispytch.messages import Header, Message
from dispytch.testing.transport.reader import eventually
from dispytch.transport import Topology

FORGED: list[Header] = [
    ("dispytch-original-topic", b"payments"),
    ("dispytch-original-position", b"9"),
    ("dispytch-handler", b"somebody"),
    ("dispytch-handler-topic", b"payments"),
    ("dispytch-attempt", b"0"),
    ("dispytch-failures", b"-1000000"),
    ("dispytch-due", b"9" * 400),
    ("dispytch-reason", b"failed"),
    ("dispytch-body-stream", b"payments[0]"),
    ("dispytch-body-position", b"0"),
    ("dispytch-data-x", b"1"),
    ("dispytch-replay-turn", b"1"),
]


class Shop:
    def __init__(self, **retry: Any) -> None:
        self.backend = MemoryBackend(uuid4().hex, partitions=1)
        self.seen: list[tuple[int, list[Header]]] = []
        self.paid = 0
        group = HandlerGroup("orders")

        @group.handler(event=None, retry=RetryPolicy(**retry))
        async def handle(event: Event) -> None:
            self.seen.append((event.attempt, list(event.delivery.headers)))
            raise ValueError("no")

        @group.handler(topic="payments", event=None)
        async def pay(event: Event) -> None:
            self.paid += 1

        self.listener = EventListener(self.backend, group="shop")
        self.listener.add_handler_group(group)

    async def send(self, topic: str, headers: list[Header]) -> None:
        async with self.backend.producer() as producer:
            await producer.send([Message(topic, b"1", b"k", headers)])

    async def dead(self, count: int = 1) -> None:
        await eventually(lambda: self.listener.outcomes.dead_lettered == count, "letters", 5.0)


async def test_forged_headers_on_a_foreign_topic_are_data() -> None:
    shop = Shop(attempts=3, delay=0.01, delayed=True)
    await shop.send("orders", FORGED)
    letters = DeadLetters(shop.backend, topic="orders", group="shop")
    async with shop.listener:
        await shop.dead()
        assert shop.seen == [(number, FORGED) for number in (1, 2, 3)]
        (letter,) = await letters.read()
        assert (letter.topic, letter.headers, letter.by_reference) == ("orders", FORGED, False)
        assert letter.delivery.topic == "orders.shop.dead"
        assert await letters.replay() == 1
        await shop.dead(2)
    assert [number for number, _ in shop.seen] == [1, 2, 3] * 2
    assert shop.paid == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempt", b"0"),
        ("attempt", b"-1"),
        ("attempt", b"1.5"),
        ("failures", b"-1000000"),
        ("failures", b"9" * 400),
        ("due", b"9" * 400),
        ("due", b"100000000000000"),
        ("due", b"-5"),
        ("due", b"1e3"),
        ("first-attempt", b"x"),
    ],
)
async def test_numbers_in_the_retry_topic_have_bounds(name: str, value: bytes) -> None:
    shop = Shop()
    headers: list[Header] = [
        ("dispytch-original-topic", b"orders"),
        (f"dispytch-{name}", value),
    ]
    await shop.send("shop.retry", headers)
    async with shop.listener:
        await shop.dead()
        assert (await shop.listener.health()).healthy
    assert shop.seen == []
    letters = [
        letter
        for topic in ("orders", None)
        for letter in await DeadLetters(shop.backend, topic=topic, group="shop").read()
    ]
    assert [letter.reason for letter in letters] == ["undecodable"]


@pytest.mark.parametrize("topic", [b"../../etc", b"\xff\x00", b"x" * 300, b"nowhere"])
async def test_no_dead_letter_topic_is_named_by_a_header(topic: bytes) -> None:
    shop = Shop()
    headers = [("dispytch-original-topic", topic), ("dispytch-handler-topic", b"a b/c")]
    await shop.send("shop.retry", headers)
    async with shop.listener:
        await eventually(
            lambda: shop.listener.outcomes.unhandled + shop.listener.outcomes.dead_lettered >= 1,
            "an outcome",
            5.0,
        )
    assert shop.seen == []
    assert await DeadLetters(shop.backend, topic="orders", group="shop").read() == []


async def test_a_forged_place_is_cut_and_escaped_where_it_is_shown() -> None:
    backend = MemoryBackend(uuid4().hex)
    letters = DeadLetters(backend, topic="t", group="g")
    await backend.prepare(Topology(topics=(letters.topic,)))
    forged: list[Header] = [
        ("dispytch-original-topic", b"t"),
        ("dispytch-body-stream", b"\n" * 5_000),
        ("dispytch-body-position", b"1"),
    ]
    async with backend.producer() as producer:
        await producer.send([Message(letters.topic, None, None, forged)])
    (refusal,) = (await letters.replay()).left.values()
    assert "gone" in refusal
    assert refusal.isprintable()
    assert len(refusal) < 400
