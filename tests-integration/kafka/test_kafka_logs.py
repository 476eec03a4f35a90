"""Logs that are not plain: offsets with gaps, topics made again, records that are gone."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition
from brokers.broker import Broker

from dispytch.kafka import KafkaBackend
from dispytch.messages import Message
from dispytch.testing.transport.reader import (
    Reader,
    assert_exactly,
    assert_in_order,
    eventually,
    reading,
)
from dispytch.transport import StartAt, Subscription, Topology

PATIENCE = 60.0


@pytest.fixture
def topic() -> str:
    return f"orders-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def group() -> str:
    return f"billing-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def address(kafka: Broker) -> str:
    return kafka.url.removeprefix("kafka://")


@pytest.fixture
def backend(address: str) -> KafkaBackend:
    return KafkaBackend(address, partitions=1, session_timeout=6)


@asynccontextmanager
async def _reading(
    backend: KafkaBackend,
    group: str,
    topic: str,
    *,
    start_at: StartAt = "earliest",
    max_in_flight: int = 100,
) -> AsyncIterator[Reader]:
    subscription = Subscription(
        group=group, topics=(topic,), max_in_flight=max_in_flight, start_at=start_at
    )
    async with reading(backend, subscription, patience=PATIENCE) as reader:
        yield reader


async def _received(reader: Reader, count: int) -> None:
    await eventually(lambda: len(reader.deliveries) >= count, f"{count} deliveries", PATIENCE)


async def _send(backend: KafkaBackend, *messages: Message) -> None:
    async with backend.producer() as producer:
        await producer.send(messages)


def _numbered(topic: str, start: int, stop: int, keys: int) -> list[Message]:
    return [Message(topic, b"%06d" % n, b"key-%d" % (n % keys)) for n in range(start, stop)]


@asynccontextmanager
async def _admin(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def _committed_and_end(address: str, group: str, topic: str) -> tuple[int | None, int]:
    place = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=address, group_id=group) as client:
        return await client.committed(place), (await client.end_offsets([place]))[place]


async def _offsets(address: str, topic: str) -> list[int]:
    """The offsets of all records that a plain consumer finds."""
    place = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=address) as client:
        client.assign([place])
        await client.seek_to_beginning(place)
        end = (await client.end_offsets([place]))[place]
        found: list[int] = []
        while await client.position(place) < end:
            for records in (await client.getmany(timeout_ms=200)).values():
                found += [record.offset for record in records]
    return found


async def test_a_compacted_topic_is_handled_to_its_end(
    address: str, backend: KafkaBackend, topic: str, group: str
) -> None:
    compacting = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.01",
        "max.compaction.lag.ms": "100",
    }
    async with _admin(address) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=compacting)])
    for burst in range(6):
        await _send(backend, *_numbered(topic, 500 * burst, 500 * burst + 500, 150 - burst))
        await asyncio.sleep(0.2)
    async with asyncio.timeout(PATIENCE):
        while len(offsets := await _offsets(address, topic)) > 1500:
            # Segments are rolled when something is appended.
            await _send(backend, Message(topic, b"%06d" % 9000, b"roll"))
            await asyncio.sleep(0.5)
    await asyncio.sleep(1)
    offsets = await _offsets(address, topic)
    assert offsets != list(range(offsets[0], offsets[-1] + 1)), "no gaps"
    async with _reading(backend, group, topic, max_in_flight=7) as reader:
        await _received(reader, len(offsets))
        await reader.consumer.flush()
        assert await reader.consumer.lag() == {f"{topic}[0]": 0}
    assert [delivery.position for delivery in reader.deliveries] == offsets
    assert_in_order([one for one in reader.deliveries if one.key != b"roll"])
    committed, end = await _committed_and_end(address, group, topic)
    assert committed == end
    await _send(backend, Message(topic, b"more", b"key"))
    async with _reading(backend, group, topic) as reader:
        await _received(reader, 1)
    assert reader.values == [b"more"]


async def test_a_topic_of_transactions_is_handled_to_its_end(
    address: str, backend: KafkaBackend, topic: str, group: str
) -> None:
    await backend.prepare(Topology(topics=(topic,)))
    kept: list[bytes] = []
    async with AIOKafkaProducer(
        bootstrap_servers=address, transactional_id=uuid.uuid4().hex
    ) as foreign:
        for number in range(60):
            await foreign.begin_transaction()
            values = [b"%06d" % (10 * number + each) for each in range(10)]
            for value in values:
                await foreign.send(topic, value, b"key")
            if number % 3 == 1:
                await foreign.abort_transaction()
            else:
                await foreign.commit_transaction()
                kept += values
    async with _reading(backend, group, topic, max_in_flight=7) as reader:
        await _received(reader, len(kept))
        await _committed_to_the_end(address, group, topic)
        assert await reader.consumer.lag() == {f"{topic}[0]": 0}
    assert reader.values == kept
    await _send(backend, Message(topic, b"more", b"key"))
    async with _reading(backend, group, topic) as reader:
        await _received(reader, 1)
    assert reader.values == [b"more"]


async def _committed_to_the_end(address: str, group: str, topic: str) -> None:
    async with asyncio.timeout(10):
        while True:
            committed, end = await _committed_and_end(address, group, topic)
            if committed == end:
                return
            await asyncio.sleep(0.2)


async def test_an_open_transaction_is_waited_for(
    address: str, backend: KafkaBackend, topic: str, group: str
) -> None:
    await _send(backend, Message(topic, b"before", b"key"))
    async with AIOKafkaProducer(
        bootstrap_servers=address, transactional_id=uuid.uuid4().hex
    ) as foreign:
        await foreign.begin_transaction()
        await foreign.send_and_wait(topic, b"open", b"key")
        await _send(backend, Message(topic, b"after", b"key"))
        async with _reading(backend, group, topic) as reader:
            await _received(reader, 1)
            await asyncio.sleep(1)
            assert reader.values == [b"before"]
            await reader.consumer.flush()
            await foreign.commit_transaction()
            await _received(reader, 3)
    assert reader.values == [b"before", b"open", b"after"]


@pytest.mark.parametrize("start_at", ["earliest", "latest"])
async def test_a_group_whose_place_is_gone_goes_on_at_the_oldest_record(
    address: str, backend: KafkaBackend, topic: str, group: str, start_at: StartAt
) -> None:
    await backend.prepare(Topology(topics=(topic,)))
    async with _reading(backend, group, topic, start_at=start_at) as reader:
        await _send(backend, *_numbered(topic, 0, 10, 3))
        await _received(reader, 10)
    await _send(backend, *_numbered(topic, 10, 30, 3))
    async with _admin(address) as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=20)})
    async with _reading(backend, group, topic, start_at=start_at) as reader:
        await _received(reader, 10)
    assert reader.values == [b"%06d" % number for number in range(20, 30)]


@pytest.mark.parametrize(("start_at", "count"), [("earliest", 100), ("latest", 4)])
async def test_a_topic_that_is_made_again_is_received_from_its_start(
    address: str, backend: KafkaBackend, topic: str, group: str, start_at: StartAt, count: int
) -> None:
    await backend.prepare(Topology(topics=(topic,)))
    async with _reading(backend, group, topic, start_at=start_at) as reader:
        await _send(backend, *_numbered(topic, 0, 10, 3))
        await _received(reader, 10)
        await reader.consumer.flush()
        async with _admin(address) as admin:
            await admin.delete_topics([topic])
        await backend.prepare(Topology(topics=(topic,)))
        await _send(backend, *_numbered(topic, 10, 10 + count, 3))
        await _received(reader, 10 + count)
    assert_exactly(reader.values, [b"%06d" % number for number in range(10 + count)])
