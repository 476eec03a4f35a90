"""Handlers that take patterns of topics, in whole services on the in-memory backend."""

import asyncio
from typing import Annotated, Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from dispytch import (
    DeadLetters,
    DeadLetterTopic,
    Dependency,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    RetryPolicy,
    TopicSegment,
)
from dispytch.exceptions import DependencyError, InvalidHandler, TopologyError
from dispytch.memory import MemoryBackend
from dispytch.messages import Message
from dispytch.transport import Topology


class Happened(EventBase):
    __topic__ = "{topic}"
    __event_type__ = "happened"
    __key__ = "{key}"

    topic: str
    number: int = 0
    key: str = "k"


class Body(BaseModel):
    number: int


class Seen:
    """What handlers have seen, and a way to wait for it."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._news = asyncio.Event()

    def add(self, *thing: Any) -> None:
        self.things.append(thing)
        self._news.set()

    async def wait(self, count: int) -> list[Any]:
        async with asyncio.timeout(5):
            while len(self.things) < count:
                self._news.clear()
                await self._news.wait()
        return self.things


@pytest.fixture
def url() -> str:
    return f"memory://{uuid4().hex}"


@pytest.fixture
def seen() -> Seen:
    return Seen()


def listening(url: str, group: HandlerGroup, **options: Any) -> EventListener:
    listener = EventListener(url, group="shop", **options)
    listener.add_handler_group(group)
    return listener


async def emit(url: str, *topics: str) -> None:
    async with EventEmitter(url) as emitter:
        await emitter.emit_many(
            Happened(topic=topic, number=number) for number, topic in enumerate(topics)
        )


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def test_topics_that_are_there_and_those_that_come_later(url: str, seen: Seen) -> None:
    group = HandlerGroup(prefix="user.")

    @group.handler(topic="{user_id}.{action}")
    async def handle(
        event: Event[Body],
        user_id: Annotated[int, TopicSegment(ge=1)],
        what: Annotated[str, TopicSegment(alias="action")],
    ) -> None:
        seen.add(event.topic, user_id, what, dict(event.segments))

    await emit(url, "user.1.created", "user.1", "account.1.created")
    async with listening(url, group):
        await seen.wait(1)
        await emit(url, "user.2.deleted", "user:3:created", "user.4.x.y")
        await seen.wait(3)
    assert sorted(seen.things) == [
        ("user.1.created", 1, "created", {"user_id": "1", "action": "created"}),
        ("user.2.deleted", 2, "deleted", {"user_id": "2", "action": "deleted"}),
        ("user:3:created", 3, "created", {"user_id": "3", "action": "created"}),
    ]


async def test_every_handler_that_matches_runs_once(url: str, seen: Seen) -> None:
    group = HandlerGroup()
    for topic in ("user.created", "user.*", "user.#", "#", "*.created", "user.{action}", "user"):

        @group.handler(topic=topic, event="happened")
        async def handle(event: Event[Body], topic: str = topic) -> None:
            seen.add(topic)

    @group.handler(topic="user.#")
    @group.handler(topic="user.{action}")
    @group.handler(topic="user.created")
    async def thrice(event: Event[Body]) -> None:
        seen.add("thrice", dict(event.segments))

    async with listening(url, group) as listener:
        await emit(url, "user.created")
        await seen.wait(7)
        await emit(url, "user.deleted")
        await seen.wait(12)
        await until(lambda: listener.outcomes.handled == 12)
    assert sorted(map(str, seen.things[:7])) == sorted(
        map(
            str,
            [
                ("user.created",),
                ("user.*",),
                ("user.#",),
                ("#",),
                ("*.created",),
                ("user.{action}",),
                ("thrice", {}),
            ],
        )
    )
    assert ("thrice", {"action": "deleted"}) in seen.things[7:]


async def test_order_per_key_holds_in_each_topic(url: str, seen: Seen) -> None:
    group = HandlerGroup(default_topic="log.#")

    @group.handler()
    async def handle(event: Event[Body]) -> None:
        await asyncio.sleep(0)
        seen.add(event.topic, event.body.number)

    async with listening(url, group):
        await emit(url, *(["log", "log.a", "log.a.b"] * 20))
        await seen.wait(60)
    for topic in ("log", "log.a", "log.a.b"):
        numbers = [number for name, number in seen.things if name == topic]
        assert numbers == sorted(numbers)
        assert len(numbers) == 20


async def test_a_segment_that_is_refused_is_dead_lettered_at_once(url: str, seen: Seen) -> None:
    group = HandlerGroup()

    def owner(user_id: Annotated[int, TopicSegment()]) -> int:
        return user_id

    @group.handler(topic="user.{user_id}", retry=RetryPolicy(attempts=5))
    async def handle(event: Event[Body], owner: Annotated[int, Dependency(owner)]) -> None:
        seen.add(owner)

    async with listening(url, group) as listener:
        await emit(url, "user.x", "user.7")
        await until(lambda: listener.outcomes.dead_lettered == 1)
        await seen.wait(1)
        assert listener.outcomes.retried == 0
    assert seen.things == [(7,)]
    [letter] = await DeadLetters(url, topic="user.{user_id}", group="shop").read()
    assert (letter.reason, letter.topic, letter.attempts) == ("invalid", "user.x", 1)
    assert "the {user_id} of topic 'user.x', is refused" in letter.error


async def test_dead_letters_of_all_topics_of_a_pattern_lie_together_and_are_replayed(
    url: str, seen: Seen
) -> None:
    group = HandlerGroup()
    broken = True

    @group.handler(topic="user.#")
    async def handle(event: Event[Body]) -> None:
        if broken:
            raise ValueError("closed")
        seen.add(event.topic, event.body.number)

    @group.handler(topic="user.1")
    async def named(event: Event[Body]) -> None:
        if broken:
            raise ValueError("closed, too")

    async with listening(url, group) as listener:
        await emit(url, "user.1", "user.2.x")
        await until(lambda: listener.outcomes.dead_lettered == 3)
        letters = DeadLetters(url, topic="user.#", group="shop")
        assert letters.topic == "user.__.shop.dead"
        assert sorted(letter.topic or "" for letter in await letters.read()) == [
            "user.1",
            "user.2.x",
        ]
        assert len(await DeadLetters(url, topic="user.1", group="shop").read()) == 1
        broken = False
        assert await letters.replay(select=lambda letter: letter.topic == "user.2.x") == 1
        await seen.wait(1)
        await asyncio.sleep(0.05)
        assert listener.outcomes.dead_lettered == 3, "its own dead letters came to the handler"
        assert listener.outcomes.unhandled == 0
    assert seen.things == [("user.2.x", 1)]


async def test_what_cannot_be_read_is_kept_with_the_most_specific(url: str) -> None:
    group = HandlerGroup()

    @group.handler(topic="#")
    async def everything(event: Event) -> None: ...

    @group.handler(topic="user.*")
    async def users(event: Event) -> None: ...

    backend = MemoryBackend.from_url(url)
    async with listening(url, group, wire=None) as listener:
        async with backend.producer() as producer:
            headers = [("ce_specversion", b"9"), ("content-type", b"application/json")]
            await producer.send([Message("user.1", b"{", None, headers)])
        await until(lambda: listener.outcomes.dead_lettered >= 1)
    letters = await DeadLetters(url, topic="user.*", group="shop").read()
    assert {letter.topic for letter in letters} == {"user.1"}


async def test_a_retry_for_a_handler_that_is_gone_is_in_the_groups_own_dead_letters(
    url: str,
) -> None:
    first, second = HandlerGroup(), HandlerGroup()

    later = RetryPolicy(attempts=2, delay=0.5, jitter=False, delayed=True)

    @first.handler(topic="user.*", retry=later)
    async def gone(event: Event) -> None:
        raise ValueError("once more")

    @second.handler(topic="orders")
    async def stays(event: Event) -> None: ...

    async with listening(url, first) as listener:
        await emit(url, "user.1")
        await until(lambda: listener.outcomes.delayed == 1)
    async with listening(url, second) as listener:
        await until(lambda: listener.outcomes.dead_lettered == 1)
    [letter] = await DeadLetters(url, group="shop").read()
    assert (letter.reason, letter.topic) == ("unhandled", "user.1")
    assert letter.handler_topic is None


async def test_a_custom_dead_letter_topic_is_known_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = HandlerGroup(dead_letter=DeadLetterTopic("graveyard.{topic}"))

    @group.handler(topic="a:*")
    async def handle(event: Event) -> None: ...

    backend = MemoryBackend(uuid4().hex)
    await backend.prepare(Topology(topics=("shop.retry",)))
    checked = MemoryBackend(backend.config.name, declare="check")
    listener = EventListener(checked, group="shop")
    listener.add_handler_group(group)
    with pytest.raises(TopologyError, match=r"graveyard\.a:_"):
        await listener.listen()
    await backend.prepare(Topology(topics=("graveyard.a:_", "a:_.shop.dead")))
    async with listener:
        assert await listener.health()
    assert "no dead-letter topic of its own, 'shop.dead'" in caplog.text


@pytest.mark.parametrize(
    ("topic", "text"),
    [("a.#.b", "'#' stands for all that follows"), ("a.{x y}", "is no field")],
)
async def test_a_wrong_pattern_fails_at_the_start_with_the_handler(
    url: str, topic: str, text: str
) -> None:
    group = HandlerGroup()

    @group.handler(topic=topic)
    async def handle(event: Event) -> None: ...

    with pytest.raises(InvalidHandler) as raised:
        await listening(url, group).listen()
    assert f"locals>.handle: the topic pattern {topic!r}" in str(raised.value)
    assert text in str(raised.value)


async def test_a_segment_without_a_field_fails_at_the_start(url: str) -> None:
    group = HandlerGroup()

    @group.handler(topic="orders")
    async def handle(order: Annotated[int, TopicSegment()]) -> None: ...

    with pytest.raises(DependencyError, match=r"handle` → parameter `order`: the topic 'orders'"):
        await listening(url, group).listen()


async def test_a_backend_without_wildcards_fails_at_the_start() -> None:
    class Plain(MemoryBackend):
        features = MemoryBackend.features.__class__(durable=False, history=True, shared_order=True)

    group = HandlerGroup()

    @group.handler(topic="user.*")
    async def handle(event: Event) -> None: ...

    listener = EventListener(Plain(uuid4().hex), group="shop")
    listener.add_handler_group(group)
    with pytest.raises(InvalidHandler, match=r"handle takes the pattern 'user\.\*', but Plain has"):
        await listener.listen()
