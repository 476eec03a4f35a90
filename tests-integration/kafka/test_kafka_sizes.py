"""Events of any size that their topic takes can go wherever they may have to go."""

import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError
from brokers.broker import Broker

from dispytch import (
    DeadLetters,
    Event,
    EventListener,
    HandlerGroup,
    Reject,
    RetryAfter,
    RetryPolicy,
)
from dispytch.testing.transport.reader import eventually

DEFAULT_LIMIT: Final = 1_048_588
WIDE: Final = 3_000_000

Conduct = Literal["delayed", "after", "reject"]


def _address(kafka: Broker) -> str:
    return kafka.url.removeprefix("kafka://")


@asynccontextmanager
async def _admin(kafka: Broker) -> AsyncGenerator[Any, None]:
    admin = AIOKafkaAdminClient(bootstrap_servers=_address(kafka))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _topic(kafka: Broker, limit: int, name: str | None = None) -> str:
    name = name or f"sizes-{uuid4().hex[:12]}"
    async with _admin(kafka) as admin:
        settings = {"max.message.bytes": str(limit)}
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=settings)])
    return name


async def _sent(kafka: Broker, topic: str, bodies: list[bytes], **options: Any) -> list[bytes]:
    """Those of them that the topic takes, sent by a foreign producer."""
    taken: list[bytes] = []
    async with AIOKafkaProducer(
        bootstrap_servers=_address(kafka), max_request_size=200_000_000, **options
    ) as producer:
        for body in bodies:
            try:
                await producer.send_and_wait(topic, body, b"key")
            except MessageSizeTooLargeError:
                continue
            taken.append(body)
    return taken


class _Service:
    """Handles each event at its second attempt, or never."""

    def __init__(self, kafka: Broker, topic: str, conduct: Conduct) -> None:
        self.group = f"g-{uuid4().hex[:8]}"
        self.topic = topic
        self.attempts: Counter[bytes] = Counter()
        handlers = HandlerGroup(topic)
        self.url = f"{kafka.url}?partitions=1"

        delayed = conduct == "delayed"
        retry = RetryPolicy(attempts=2, delay=0.01, jitter=False, delayed=delayed)

        @handlers.handler(event=None, retry=retry)
        async def handle(event: Event) -> None:
            value = event.delivery.value or b""
            self.attempts[value] += 1
            if conduct == "reject":
                raise Reject("no")
            if event.attempt == 1:
                raise RetryAfter(0.01) if conduct == "after" else ValueError("x" * 2_000)

        self.listener = EventListener(self.url, group=self.group)
        self.listener.add_handler_group(handlers)

    @property
    def letters(self) -> DeadLetters:
        return DeadLetters(self.url, topic=self.topic, group=self.group)


def _text(char: bytes, size: int) -> bytes:
    """JSON of so many bytes."""
    return b'"' + char * (size - 2) + b'"'


def _near(limit: int) -> list[bytes]:
    """Bodies around what just fits, to the byte, each of its own size."""
    return [_text(b"b", limit - less) for less in (*range(60, 100, 3), 200, 700, 1_500, 20_000)]


@pytest.mark.parametrize("limit", [DEFAULT_LIMIT, WIDE])
@pytest.mark.parametrize("conduct", ["delayed", "after", "reject"])
async def test_what_fits_its_topic_can_be_retried_and_dead_lettered(
    kafka: Broker, limit: int, conduct: Conduct
) -> None:
    topic = await _topic(kafka, limit)
    taken = await _sent(kafka, topic, _near(limit))
    assert 4 <= len(taken) <= len(_near(limit)), "some are just too large"
    service = _Service(kafka, topic, conduct)
    outcomes = service.listener.outcomes
    async with service.listener:
        if conduct == "reject":
            await eventually(lambda: outcomes.dead_lettered == len(taken), "all letters", 25)
            letters = await service.letters.read()
            assert sorted(len(one.value or b"") for one in letters) == sorted(map(len, taken))
            assert not any(one.by_reference for one in letters)
            assert await service.letters.replay() == len(taken)
            await eventually(lambda: outcomes.dead_lettered == 2 * len(taken), "again", 25)
        else:
            await eventually(lambda: outcomes.handled == len(taken), "all handled", 25)
        assert service.attempts == Counter({body: 2 for body in taken})
        assert (await service.listener.health()).healthy


async def test_records_that_fitted_only_compressed_can_be_sent_on(kafka: Broker) -> None:
    topic = await _topic(kafka, DEFAULT_LIMIT)
    taken = await _sent(kafka, topic, [_text(b"z", 5_000_000)], compression_type="gzip")
    service = _Service(kafka, topic, "delayed")
    async with service.listener:
        outcomes = service.listener.outcomes
        await eventually(lambda: outcomes.handled == len(taken) == 1, "it is handled", 30)
    assert service.attempts == Counter({taken[0]: 2})


async def test_a_narrow_topic_is_told_of_and_its_letters_are_by_reference(
    kafka: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "dispytch.kafka")
    topic = await _topic(kafka, WIDE)
    service = _Service(kafka, topic, "delayed")
    retry, dead = f"{service.group}.retry", f"{topic}.{service.group}.dead"
    for narrow in (retry, dead):
        await _topic(kafka, 20_000, narrow)
    # What compresses well would fit all the same.
    noise = random.Random(1).randbytes(1_000_000)
    (body,) = await _sent(kafka, topic, [b'"' + noise.hex().encode() + b'"'])
    async with service.listener:
        outcomes = service.listener.outcomes
        await eventually(lambda: outcomes.dead_lettered >= 1, "a letter", 30)
        letters = [one for one in await service.letters.read() if one.value == body]
        assert [(one.reason, one.by_reference, one.gone) for one in letters] == [
            ("unsendable", True, False)
        ]
        assert (await service.listener.health()).healthy
        replayed = await service.letters.replay(ids=[letters[0].id])
        assert (replayed, list(replayed.left)) == (0, [letters[0].id])
    for narrow in (retry, dead):
        assert f"the topic {narrow!r} takes messages of 20000 bytes at most" in caplog.text
    assert f"from {topic!r}" in caplog.text
    assert "max.message.bytes" in caplog.text


async def test_an_emitter_with_a_delayed_retry_never_empties_an_event(kafka: Broker) -> None:
    """What was lost: 4 of 20 sizes near the limit came back without a body."""
    topic = await _topic(kafka, DEFAULT_LIMIT)
    bodies = [_text(b"n", size) for size in range(1_047_000, 1_048_500, 75)]
    taken = await _sent(kafka, topic, bodies)
    service = _Service(kafka, topic, "delayed")
    async with service.listener:
        outcomes = service.listener.outcomes
        await eventually(lambda: outcomes.handled == len(taken), "all handled", 25)
    assert service.attempts == Counter({body: 2 for body in taken})
