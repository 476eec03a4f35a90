"""Reading a topic alone, while it changes."""

import asyncio
from collections.abc import Collection
from urllib.parse import urlsplit

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions  # type: ignore[import-untyped]
from brokers.broker import Broker

from dispytch.kafka import KafkaBackend, KafkaEventConfig
from dispytch.messages import Lease, Message
from dispytch.transport import Subscription, Topology

PATIENCE = 40.0


async def nothing_to_drain(leases: Collection[Lease]) -> None: ...


async def test_a_reader_notices_that_its_topic_has_grown(kafka: Broker, unique: str) -> None:
    """What comes to the new partitions before it has noticed is read, too; nothing comes twice."""
    topic = f"replies.{unique}"
    backend = KafkaBackend.from_url(f"{kafka.url}?partitions=1")
    await backend.prepare(Topology(topics=(topic,)))
    subscription = Subscription(group=topic, topics=(topic,), max_in_flight=100, temporary=True)
    async with (
        backend.producer() as producer,
        backend.consumer(subscription, nothing_to_drain) as consumer,
        asyncio.timeout(PATIENCE),
    ):
        await producer.send([Message(topic, b"before")])
        (first,) = await consumer.receive()
        consumer.ack(first)
        await grow(kafka.url, topic, 3)
        late = [Message(topic, b"%d" % n, config=KafkaEventConfig(partition=n)) for n in range(3)]
        async with backend.producer() as fresh:
            await fresh.send(late)
        values: list[bytes] = []
        while len(values) < 3:
            for delivery in await consumer.receive():
                consumer.ack(delivery)
                values.append(delivery.value)
    assert first.value == b"before"
    assert sorted(values) == [b"0", b"1", b"2"]


async def grow(url: str, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=urlsplit(url).netloc)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(total_count=partitions)})
        known = 0
        while known < partitions:
            await asyncio.sleep(0.1)
            (described,) = await admin.describe_topics([topic])
            known = len(described["partitions"])
    finally:
        await admin.close()
