"""The Kafka backend against the transport contract, on a real broker."""

import asyncio
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition
from brokers.broker import Broker

from dispytch.exceptions import (
    BrokerUnreachable,
    MessageTooLarge,
    SendError,
    TopologyError,
    TransportError,
    Unroutable,
)
from dispytch.kafka import KafkaBackend, KafkaEventConfig
from dispytch.messages import Delivery, Lease, Message
from dispytch.transport import Consumer, OnRevoke, Subscription, Topology

PATIENCE = 30.0


@pytest.fixture
def topic() -> str:
    return f"orders-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def group() -> str:
    return f"billing-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def backend(kafka: Broker) -> KafkaBackend:
    return KafkaBackend(_address(kafka), partitions=4, session_timeout=6)


@pytest.fixture
def one_partition(kafka: Broker) -> KafkaBackend:
    return KafkaBackend(_address(kafka), partitions=1, session_timeout=6)


def _address(kafka: Broker) -> str:
    return kafka.url.removeprefix("kafka://")


async def _nobody(leases: Collection[Lease]) -> None:
    pass


@asynccontextmanager
async def _receiving(
    backend: KafkaBackend,
    group: str,
    topic: str,
    *,
    max_in_flight: int = 100,
    on_revoke: OnRevoke = _nobody,
    latest: bool = False,
    drain_timeout: float = 5,
) -> AsyncIterator[Consumer]:
    subscription = Subscription(
        group=group,
        topics=(topic,),
        max_in_flight=max_in_flight,
        start_at="latest" if latest else "earliest",
        drain_timeout=drain_timeout,
    )
    async with backend.consumer(subscription, on_revoke) as consumer:
        yield consumer


async def _send(backend: KafkaBackend, messages: Sequence[Message]) -> None:
    async with backend.producer() as producer:
        await producer.send(messages)


async def _receive(consumer: Consumer, count: int, *, ack: bool = False) -> list[Delivery]:
    """At least so many deliveries."""
    found: list[Delivery] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            for delivery in await consumer.receive():
                found.append(delivery)
                if ack:
                    consumer.ack(delivery)
    return found


async def _all_within(consumer: Consumer, seconds: float) -> list[Delivery]:
    """What is handed out in that time; ends the consumer's receiving."""
    asyncio.get_running_loop().call_later(seconds, consumer.stop_receiving)
    found: list[Delivery] = []
    while batch := await consumer.receive():
        found += batch
    return found


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [int(delivery.value) for delivery in deliveries]


def _numbered(topic: str, count: int, *, keys: int | None = None) -> list[Message]:
    return [
        Message(topic, b"%d" % number, None if keys is None else b"key-%d" % (number % keys))
        for number in range(count)
    ]


async def _committed(kafka: Broker, group: str, topic: str, partition: int = 0) -> int | None:
    client = AIOKafkaConsumer(bootstrap_servers=_address(kafka), group_id=group)
    await client.start()
    try:
        return await client.committed(TopicPartition(topic, partition))
    finally:
        await client.stop()


@asynccontextmanager
async def _admin(kafka: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=_address(kafka))
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def test_a_message_arrives_as_it_was_sent(
    backend: KafkaBackend, topic: str, group: str
) -> None:
    config = KafkaEventConfig(partition=2, timestamp=1_700_000_000_123, headers={"tenant": "größe"})
    headers = (("a", b"1"), ("a", b"\x00\xff"), ("größe", b""))
    await _send(backend, [Message(topic, b"\x00body", b"key", headers, config)])
    async with _receiving(backend, group, topic) as consumer:
        (delivery,) = await _receive(consumer, 1)
    assert delivery.topic == topic
    assert delivery.value == b"\x00body"
    assert delivery.key == b"key"
    assert tuple(delivery.headers) == (*headers, ("tenant", "größe".encode()))
    assert delivery.timestamp_ms == 1_700_000_000_123
    assert delivery.lease.stream == f"{topic}[2]"
    assert delivery.lease.topic == topic


async def test_a_foreign_tombstone_and_a_null_header_arrive_as_null(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await one_partition.prepare(Topology(topics=(topic,)))
    async with AIOKafkaProducer(bootstrap_servers=_address(kafka)) as foreign:
        await foreign.send_and_wait(topic, None, b"key", headers=[("h", None)])
    async with _receiving(one_partition, group, topic) as consumer:
        (delivery,) = await _receive(consumer, 1)
    assert delivery.value is None
    assert tuple(delivery.headers) == (("h", None),)


async def test_keys_go_where_the_driver_itself_sends_them_and_stay_in_order(
    kafka: Broker, backend: KafkaBackend, topic: str, group: str
) -> None:
    await _send(backend, _numbered(topic, 1000, keys=20))
    async with AIOKafkaProducer(bootstrap_servers=_address(kafka)) as foreign:
        for number in range(20):
            await foreign.send_and_wait(topic, b"1000", b"key-%d" % number)
    places: dict[bytes | None, set[str]] = defaultdict(set)
    order: dict[bytes | None, list[int]] = defaultdict(list)
    async with _receiving(backend, group, topic) as consumer:
        for delivery in await _receive(consumer, 1020, ack=True):
            places[delivery.key].add(delivery.lease.stream)
            order[delivery.key].append(int(delivery.value))
    assert {len(streams) for streams in places.values()} == {1}
    assert all(numbers == sorted(numbers) for numbers in order.values())
    assert len({stream for streams in places.values() for stream in streams}) == 4


async def test_messages_without_a_key_are_spread(
    backend: KafkaBackend, topic: str, group: str
) -> None:
    await _send(backend, _numbered(topic, 400))
    async with _receiving(backend, group, topic) as consumer:
        found = Counter(each.lease.stream for each in await _receive(consumer, 400, ack=True))
    assert sorted(found.values()) == [100, 100, 100, 100]


async def test_a_restart_continues_after_the_prefix_that_was_settled(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 10))
    async with _receiving(one_partition, group, topic) as consumer:
        deliveries = await _receive(consumer, 10)
        for number in (4, 0, 3, 1):
            consumer.ack(deliveries[number])
    assert await _committed(kafka, group, topic) == 2
    async with _receiving(one_partition, group, topic) as consumer:
        assert _numbers(await _receive(consumer, 8, ack=True)) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert await _committed(kafka, group, topic) == 10


async def test_flush_returns_when_the_broker_has_the_commit(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 3))
    async with _receiving(one_partition, group, topic) as consumer:
        await _receive(consumer, 3, ack=True)
        await consumer.flush()
        assert await _committed(kafka, group, topic) == 3


async def test_acks_reach_the_broker_within_a_second_by_themselves(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 3))
    async with _receiving(one_partition, group, topic) as consumer:
        await _receive(consumer, 3, ack=True)
        await asyncio.sleep(1)
        assert await _committed(kafka, group, topic) == 3


async def test_the_window_is_never_exceeded(backend: KafkaBackend, topic: str, group: str) -> None:
    await _send(backend, _numbered(topic, 400))
    async with _receiving(backend, group, topic, max_in_flight=20) as consumer:
        unsettled: list[Delivery] = []
        seen = 0
        async with asyncio.timeout(PATIENCE):
            while seen < 400:
                batch = await consumer.receive()
                seen += len(batch)
                unsettled += batch
                assert len(unsettled) <= 20
                assert max(Counter(each.lease for each in unsettled).values()) <= 5
                while unsettled and len(unsettled) > (seen % 20):
                    consumer.ack(unsettled.pop(0))


async def test_more_partitions_than_window_still_all_flow(
    kafka: Broker, topic: str, group: str
) -> None:
    backend = KafkaBackend(_address(kafka), partitions=8)
    await _send(backend, _numbered(topic, 80))
    async with _receiving(backend, group, topic, max_in_flight=3) as consumer:
        seen: list[int] = []
        async with asyncio.timeout(PATIENCE):
            while len(seen) < 80:
                batch = await consumer.receive()
                assert 0 < len(batch) <= 3
                seen += _numbers(batch)
                for delivery in batch:
                    consumer.ack(delivery)
    assert sorted(seen) == list(range(80))


async def test_partitions_are_taken_from_in_turn(
    backend: KafkaBackend, topic: str, group: str
) -> None:
    await _send(backend, [Message(topic, b"x" * 200) for _ in range(8000)])
    async with _receiving(backend, group, topic, max_in_flight=100) as consumer:
        found = await _receive(consumer, 2000, ack=True)
        streams = Counter(each.lease.stream for each in found[200:2000])
    assert len(streams) == 4
    assert min(streams.values()) > 200


async def test_a_stream_that_stands_still_does_not_stop_the_others(
    backend: KafkaBackend, topic: str, group: str
) -> None:
    await _send(backend, _numbered(topic, 8000))
    async with _receiving(backend, group, topic, max_in_flight=40) as consumer:
        batch = await _receive(consumer, 40)
        stuck = batch[0].lease
        done = 0
        async with asyncio.timeout(PATIENCE):
            while done < 6000:
                for delivery in batch:
                    if delivery.lease is not stuck:
                        consumer.ack(delivery)
                        done += 1
                batch = list(await consumer.receive()) if done < 6000 else []


async def test_given_back_deliveries_come_again_first_and_hold_the_commit(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 6))
    async with _receiving(one_partition, group, topic, max_in_flight=4) as consumer:
        deliveries = await _receive(consumer, 4)
        for number in (3, 1, 2):
            consumer.nack(deliveries[number])
        consumer.ack(deliveries[0])
        await consumer.flush()
        assert await _committed(kafka, group, topic) == 1
        again = await _receive(consumer, 4)
        assert _numbers(again) == [1, 2, 3, 4]
        for delivery in again:
            consumer.ack(delivery)
        assert _numbers(await _receive(consumer, 1, ack=True)) == [5]
        await consumer.flush()
    assert await _committed(kafka, group, topic) == 6


async def test_a_paused_stream_hands_nothing_out_until_it_is_resumed(
    one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 100))
    async with _receiving(one_partition, group, topic, max_in_flight=10) as consumer:
        deliveries = await _receive(consumer, 10)
        lease = deliveries[0].lease
        consumer.pause(lease)
        for delivery in deliveries:
            consumer.ack(delivery)
        receiving = asyncio.ensure_future(consumer.receive())
        await asyncio.sleep(0.5)
        assert not receiving.done()
        consumer.resume(lease)
        batch = await asyncio.wait_for(receiving, PATIENCE)
        for delivery in batch:
            consumer.ack(delivery)
        rest = await _receive(consumer, 90 - len(batch), ack=True)
    assert _numbers([*batch, *rest]) == list(range(10, 100))


async def test_stop_receiving_ends_a_receive_that_waits_and_settling_goes_on(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 2))
    async with _receiving(one_partition, group, topic) as consumer:
        deliveries = await _receive(consumer, 2)
        assert await _all_within(consumer, 0.1) == []
        for delivery in deliveries:
            consumer.ack(delivery)
        await consumer.flush()
        assert await _committed(kafka, group, topic) == 2


async def test_a_second_consumer_takes_over_without_loss_and_without_duplicates(
    backend: KafkaBackend, topic: str, group: str
) -> None:
    await _send(backend, _numbered(topic, 400, keys=50))
    held: list[Delivery] = []
    revoked: list[Lease] = []

    async def drain(leases: Collection[Lease]) -> None:
        revoked.extend(leases)
        await asyncio.sleep(0.5)
        for delivery in held:
            first.ack(delivery)

    seen: Counter[int] = Counter()
    async with _receiving(backend, group, topic, max_in_flight=40, on_revoke=drain) as first:
        held += await _receive(first, 40)
        seen.update(_numbers(held))
        async with _receiving(backend, group, topic, max_in_flight=40) as second:
            assert len(revoked) == 4
            assert all(lease.ended for lease in revoked)

            async def consume(consumer: Consumer) -> None:
                while batch := await consumer.receive():
                    for delivery in batch:
                        seen[int(delivery.value)] += 1
                        consumer.ack(delivery)

            tasks = [asyncio.create_task(consume(each)) for each in (first, second)]
            await _until(lambda: len(seen) == 400)
            first.stop_receiving()
            second.stop_receiving()
            await asyncio.gather(*tasks)
    assert seen == Counter(range(400))


async def test_a_settlement_after_the_lease_has_ended_is_void(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 5))
    async with _receiving(one_partition, group, topic) as first:
        late = await _receive(first, 5)
        async with _receiving(one_partition, group, topic):
            assert late[0].lease.ended
            for delivery in late:
                first.ack(delivery)
                first.nack(delivery)
            await first.flush()
            assert await _committed(kafka, group, topic) == 0


async def test_a_handler_may_run_longer_than_the_poll_interval(
    kafka: Broker, topic: str, group: str
) -> None:
    backend = KafkaBackend(_address(kafka), partitions=1, session_timeout=6, max_poll_interval=2)
    await _send(backend, _numbered(topic, 3000))
    revoked: list[Lease] = []

    async def revoke(leases: Collection[Lease]) -> None:
        revoked.extend(leases)

    async with _receiving(backend, group, topic, max_in_flight=5, on_revoke=revoke) as consumer:
        held = await _receive(consumer, 5)
        await asyncio.sleep(7)
        for delivery in held:
            consumer.ack(delivery)
        rest = await _receive(consumer, 2995, ack=True)
        assert _numbers(rest) == list(range(5, 3000))
        assert revoked == []
        await consumer.flush()
    assert await _committed(kafka, group, topic) == 3000


async def test_gaps_in_the_offsets_hold_nothing_up(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await one_partition.prepare(Topology(topics=(topic,)))
    async with AIOKafkaProducer(
        bootstrap_servers=_address(kafka), transactional_id=uuid.uuid4().hex
    ) as foreign:
        for number in range(10):
            await foreign.begin_transaction()
            await foreign.send_and_wait(topic, b"%d" % number)
            if number % 3 == 2:
                await foreign.abort_transaction()
            else:
                await foreign.commit_transaction()
    async with _receiving(one_partition, group, topic, max_in_flight=2) as consumer:
        found = await _receive(consumer, 7, ack=True)
        assert _numbers(found) == [0, 1, 3, 4, 6, 7, 9]
        await consumer.flush()
    async with _receiving(one_partition, group, topic) as consumer:
        assert await _all_within(consumer, 1) == []


async def test_a_new_group_at_latest_misses_nothing_from_then_on(
    one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 5))
    async with _receiving(one_partition, group, topic, latest=True):
        pass
    await _send(one_partition, [Message(topic, b"5")])
    async with _receiving(one_partition, group, topic, latest=True) as consumer:
        assert _numbers(await _receive(consumer, 1)) == [5]
        assert await _all_within(consumer, 1) == []


async def test_the_broker_is_killed_in_mid_flow(
    kafka: Broker, backend: KafkaBackend, topic: str, group: str
) -> None:
    seen: Counter[int] = Counter()
    order: dict[bytes | None, list[int]] = defaultdict(list)
    sent = 0

    async def emit() -> None:
        nonlocal sent
        async with backend.producer() as producer:
            for start in range(0, 4000, 50):
                await producer.send(_numbered(topic, 4000, keys=40)[start : start + 50])
                sent += 50
                await asyncio.sleep(0.05)

    async def consume(consumer: Consumer) -> None:
        while batch := await consumer.receive():
            for delivery in batch:
                seen[int(delivery.value)] += 1
                order[delivery.key].append(int(delivery.value))
                consumer.ack(delivery)

    async with _receiving(backend, group, topic, max_in_flight=200) as consumer:
        tasks = [asyncio.create_task(emit()), asyncio.create_task(consume(consumer))]
        await _until(lambda: sent >= 2500)
        await asyncio.to_thread(kafka.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(kafka.start)
        async with asyncio.timeout(60):
            await tasks[0]
        await _until(lambda: len(seen) == 4000)
        await consumer.flush()
        consumer.stop_receiving()
        await tasks[1]
    assert set(seen) == set(range(4000))
    for numbers in order.values():
        first_seen = list(dict.fromkeys(numbers))
        assert first_seen == sorted(first_seen)
    # The window, and what was handled since the last commit: one second's, at most.
    assert seen.total() <= 4000 + 200 + 1000


async def test_a_consumer_ends_in_time_while_the_broker_is_down(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 5))
    try:
        async with _receiving(one_partition, group, topic) as consumer:
            await _receive(consumer, 5, ack=True)
            await asyncio.to_thread(kafka.kill)
            await consumer.flush()
            started = time.monotonic()
        assert time.monotonic() - started < 25
    finally:
        await asyncio.to_thread(kafka.start)
    async with _receiving(one_partition, group, topic) as consumer:
        assert _numbers(await _receive(consumer, 5)) == [0, 1, 2, 3, 4]


async def test_the_lag_at_a_dead_broker_is_an_error_in_time(
    kafka: Broker, topic: str, group: str
) -> None:
    backend = KafkaBackend(_address(kafka), partitions=2, session_timeout=6, request_timeout=1)
    await _send(backend, _numbered(topic, 20, keys=10))
    async with _receiving(backend, group, topic) as consumer:
        await _receive(consumer, 20)
        assert await consumer.lag() == {f"{topic}[0]": 0, f"{topic}[1]": 0}
        await asyncio.to_thread(kafka.kill)
        try:
            started = time.monotonic()
            with pytest.raises(TransportError, match=r"\[0\]"):
                await consumer.lag()
            assert time.monotonic() - started < 2
        finally:
            await asyncio.to_thread(kafka.start)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    assert sum((await consumer.lag()).values()) >= 0
                    break
                except TransportError:
                    pass


async def test_sending_to_a_dead_broker_fails_in_time(kafka: Broker, topic: str) -> None:
    backend = KafkaBackend(_address(kafka), partitions=1, send_timeout=2)
    async with backend.producer() as producer:
        await producer.send(_numbered(topic, 1))
        await asyncio.to_thread(kafka.kill)
        try:
            started = time.monotonic()
            with pytest.raises(SendError) as caught:
                await producer.send(_numbered(topic, 3))
            assert time.monotonic() - started < 3
            assert set(caught.value.failures) == {0, 1, 2}
        finally:
            await asyncio.to_thread(kafka.start)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await producer.send(_numbered(topic, 1))
                    break
                except SendError:
                    pass


async def test_an_unreachable_broker_is_an_error_in_time() -> None:
    backend = KafkaBackend("127.0.0.1:1", connect_timeout=1)
    started = time.monotonic()
    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:1 "):
        await backend.ping()
    with pytest.raises(BrokerUnreachable):
        async with backend.producer():
            pass
    with pytest.raises(BrokerUnreachable):
        await backend.prepare(Topology(topics=("t",)))
    with pytest.raises(BrokerUnreachable):
        async with backend.consumer(
            Subscription(group="g", topics=("t",), max_in_flight=1), _nobody
        ):
            pass
    assert time.monotonic() - started < 6


async def test_ping_answers(backend: KafkaBackend) -> None:
    await backend.ping()


async def test_a_message_above_the_clients_limit_is_refused_and_the_others_are_durable(
    kafka: Broker, topic: str, group: str
) -> None:
    backend = KafkaBackend(_address(kafka), partitions=1, max_message_bytes=10_000)
    async with backend.producer() as producer:
        with pytest.raises(SendError) as caught:
            await producer.send(
                [Message(topic, b"0"), Message(topic, b"x" * 10_001), Message(topic, b"2")]
            )
    assert list(caught.value.failures) == [1]
    assert isinstance(caught.value.failures[1], MessageTooLarge)
    async with _receiving(backend, group, topic) as consumer:
        assert _numbers(await _receive(consumer, 2)) == [0, 2]


async def test_a_message_above_the_topics_limit_is_refused_and_the_others_are_durable(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    async with _admin(kafka) as admin:
        limit = {"max.message.bytes": "2000"}
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=limit)])
    messages = [Message(topic, b"%d" % number + b" " * 100) for number in range(200)]
    messages[70] = Message(topic, b"x" * 3000)
    async with one_partition.producer() as producer:
        with pytest.raises(SendError) as caught:
            await producer.send(messages)
        await producer.send([Message(topic, b"200")])
    assert list(caught.value.failures) == [70]
    assert isinstance(caught.value.failures[70], MessageTooLarge)
    async with _receiving(one_partition, group, topic) as consumer:
        found = _numbers(await _receive(consumer, 200, ack=True))
    assert found == [number for number in range(201) if number != 70]


async def test_nine_hundred_kilobytes_and_nothing_both_travel(
    one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, [Message(topic, b"x" * 900_000), Message(topic, b"", b"")] * 5)
    async with _receiving(one_partition, group, topic) as consumer:
        found = await _receive(consumer, 10, ack=True)
    assert [len(delivery.value) for delivery in found] == [900_000, 0] * 5


async def test_a_partition_that_does_not_exist_is_a_clear_failure(
    backend: KafkaBackend, topic: str
) -> None:
    async with backend.producer() as producer:
        with pytest.raises(SendError, match="no partition 9") as caught:
            await producer.send(
                [Message(topic, b"0"), Message(topic, b"1", config=KafkaEventConfig(partition=9))]
            )
    assert list(caught.value.failures) == [1]
    assert isinstance(caught.value.failures[1], TransportError)


async def test_missing_topics_when_only_checked(kafka: Broker, topic: str, group: str) -> None:
    backend = KafkaBackend(_address(kafka), declare="check")
    with pytest.raises(TopologyError, match=topic):
        await backend.prepare(Topology(topics=(topic,)))
    with pytest.raises(TopologyError, match=topic):
        async with _receiving(backend, group, topic):
            pass
    async with backend.producer() as producer:
        with pytest.raises(SendError) as caught:
            await producer.send(_numbered(topic, 2))
    assert [type(each) for each in caught.value.failures.values()] == [Unroutable, Unroutable]


async def test_a_name_that_kafka_cannot_have_is_refused_before_anything_is_sent(
    backend: KafkaBackend, topic: str, group: str
) -> None:
    async with backend.producer() as producer:
        with pytest.raises(TopologyError, match="'order:1'"):
            await producer.send([Message(topic, b"0"), Message("order:1", b"1")])
    async with _receiving(backend, group, topic) as consumer:
        assert await _all_within(consumer, 1) == []


async def test_prepare_makes_what_is_missing_and_changes_nothing_that_exists(
    kafka: Broker, topic: str
) -> None:
    await KafkaBackend(_address(kafka), partitions=3).prepare(Topology(topics=(topic,)))
    await KafkaBackend(_address(kafka), partitions=5).prepare(Topology(topics=(topic,)))
    async with _admin(kafka) as admin:
        (found,) = await admin.describe_topics([topic])
    assert len(found["partitions"]) == 3


async def test_a_topic_that_the_broker_refuses_to_make(kafka: Broker, topic: str) -> None:
    backend = KafkaBackend(_address(kafka), replication_factor=7)
    with pytest.raises(TopologyError, match="replication"):
        await backend.prepare(Topology(topics=(topic,)))


async def test_a_topic_that_is_deleted_while_sending_is_made_again(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    async with one_partition.producer() as producer:
        await producer.send(_numbered(topic, 3))
        async with _admin(kafka) as admin:
            await admin.delete_topics([topic])
        await producer.send(_numbered(topic, 5))
        await producer.send([Message(topic, b"5")])
    async with _receiving(one_partition, group, topic) as consumer:
        assert _numbers(await _receive(consumer, 6)) == [0, 1, 2, 3, 4, 5]


async def test_a_topic_that_is_deleted_and_made_again_is_received_from_its_start(
    kafka: Broker, one_partition: KafkaBackend, topic: str, group: str
) -> None:
    await _send(one_partition, _numbered(topic, 10))
    async with _receiving(one_partition, group, topic) as consumer:
        await _receive(consumer, 10, ack=True)
        await consumer.flush()
        async with _admin(kafka) as admin:
            await admin.delete_topics([topic])
        await one_partition.prepare(Topology(topics=(topic,)))
        await _send(one_partition, _numbered(topic, 4))
        found: list[int] = []
        async with asyncio.timeout(60):
            while len(found) < 4:
                found += _numbers(await _receive(consumer, 1, ack=True))
        assert found == [0, 1, 2, 3]
