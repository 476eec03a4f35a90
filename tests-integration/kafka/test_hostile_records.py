"""Records that the driver would refuse, at a real broker: they harm nothing but themselves."""

import asyncio
import gzip
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import TopicPartition
from brokers import kafka_batches as made
from brokers.broker import Broker

from dispytch import DeadLetters, Event, EventEmitter, EventListener, HandlerGroup, Health
from dispytch.kafka import KafkaBackend
from dispytch.messages import Delivery, Undecodable
from dispytch.testing.conformance.events import Counted, counted
from dispytch.testing.transport.reader import Reader, eventually, nothing, reading
from dispytch.transport import Subscription, Topology

PATIENCE = 30.0
CODECS = {"none": 0, "gzip": made.GZIP, "snappy": made.SNAPPY, "lz4": made.LZ4, "zstd": made.ZSTD}
JSON = ((b"content-type", b"application/json"),)


@pytest.fixture
def topic() -> str:
    return f"hostile-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def address(kafka: Broker) -> str:
    return kafka.url.removeprefix("kafka://")


@pytest.fixture
def backend(address: str) -> KafkaBackend:
    return KafkaBackend(address, partitions=2, session_timeout=6, max_batch_bytes=8_000_000)


async def produce(address: str, topic: str, partition: int, *batches: bytes) -> None:
    """Send batches as they are; the broker looks through them."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        for batch in batches:
            request = ProduceRequest(
                transactional_id=None,
                required_acks=-1,
                timeout=20_000,
                topics=[(topic, [(partition, batch)])],
            )
            (node,) = {broker.nodeId for broker in client.cluster.brokers()}
            answer = await client.send(node, request)
            ((_, ((_, code, *_),)),) = answer.topics
            assert code == 0, code
    finally:
        await client.close()


@asynccontextmanager
async def reader_of(
    backend: KafkaBackend, topic: str, acks: Callable[[Delivery], bool] = lambda _: True
) -> AsyncIterator[Reader]:
    await backend.prepare(Topology(topics=(topic,)))
    subscription = Subscription(group=f"of-{topic}", topics=(topic,), max_in_flight=1000)
    async with reading(backend, subscription, acks=acks, patience=PATIENCE) as reader:
        yield reader


async def lengths(reader: Reader, count: int) -> None:
    await eventually(lambda: len(reader.deliveries) >= count, f"{count} deliveries", PATIENCE)


@pytest.mark.parametrize("packed", CODECS.values(), ids=CODECS)
async def test_header_names_that_are_not_utf8_and_every_codec_are_read(
    backend: KafkaBackend, address: str, topic: str, packed: int
) -> None:
    headers = [(b"caf\xe9", b"x"), (b"null", None)]
    await backend.prepare(Topology(topics=(topic,)))
    chunk = made.batch(*made.some(50, headers=headers), packed=packed)
    await produce(address, topic, 0, chunk)
    async with reader_of(backend, topic) as reader:
        await lengths(reader, 50)
    assert reader.values == [b"%d" % index for index in range(50)]
    for delivery in reader.deliveries:
        (name, value), null = delivery.headers
        assert (name.encode("utf-8", "surrogateescape"), value) == (b"caf\xe9", b"x")
        assert null == ("null", None)


async def test_a_bomb_is_handed_out_as_undecodable_and_disturbs_no_other(
    backend: KafkaBackend, address: str, topic: str
) -> None:
    bomb = made.record(0, bytes(60_000_000))
    packed = made.batch(bomb, attributes=made.GZIP, payload=gzip.compress(bomb, 9), count=1)
    await backend.prepare(Topology(topics=(topic,)))
    async with reader_of(backend, topic) as reader:
        await produce(address, topic, 0, made.batch(*made.some(3)), packed)
        await produce(address, topic, 0, made.batch(*made.some(2)))
        await produce(address, topic, 1, made.batch(*made.some(4)))
        peak = _memory()
        await lengths(reader, 10)
        assert _memory() - peak < 100_000_000
        leases = {delivery.lease for delivery in reader.deliveries}
        assert len(leases) == 2, "nobody has left the group"
        (broken,) = [one for one in reader.deliveries if isinstance(one, Undecodable)]
        assert (broken.lease.stream, broken.position) == (f"{topic}[0]", 3)
        assert "8000000" in broken.reason
        (problem,) = reader.consumer.problems.values()
        assert f"{topic}[0] cannot be read at offset 3" in problem
    async with reader_of(backend, topic) as again:
        await produce(address, topic, 0, made.batch(made.record(0, b"last")))
        await lengths(again, 1)
    assert again.values == [b"last"], "what was unreadable is settled as anything else"


async def test_a_listener_puts_what_nobody_can_read_aside_and_is_red_meanwhile(
    backend: KafkaBackend, address: str, topic: str
) -> None:
    handled: list[int] = []
    group = HandlerGroup(default_topic=topic, default_event=None)

    @group.handler()
    async def handle(event: Event[Counted]) -> None:
        handled.append(event.body.number)

    listener = EventListener(backend, group=f"of-{topic}")
    listener.add_handler_group(group)
    bomb = made.record(0, bytes(20_000_000), headers=JSON)
    packed = made.batch(bomb, packed=made.ZSTD)
    async with listener, EventEmitter(backend) as emitter:
        assert await _until(listener, bool)
        await produce(address, topic, 0, packed)
        red = await _until(listener, lambda health: not health)
        assert any(f"{topic}[0] cannot be read at offset 0" in one for one in red.problems)
        assert red.connected
        await emitter.emit_many(counted(topic, keys=20, each=1))
        await eventually(lambda: len(handled) == 20, "the others", PATIENCE)
        assert listener.outcomes.dead_lettered == 1
    (letter,) = await DeadLetters(backend, group=f"of-{topic}", topic=topic).read()
    assert "max_batch_bytes" in str(letter.error)
    assert (letter.by_reference, letter.place, letter.gone) == (True, (f"{topic}[0]", 0), True)
    # Who may unpack more has the event itself.
    with_room = KafkaBackend(address, max_batch_bytes=30_000_000)
    (whole,) = await DeadLetters(with_room, group=f"of-{topic}", topic=topic).read()
    assert whole.value == bytes(20_000_000)


async def test_a_dead_letter_and_a_replay_keep_odd_header_names_byte_for_byte(
    backend: KafkaBackend, address: str, topic: str
) -> None:
    group, names = HandlerGroup(default_topic=topic, default_event=None), list[str]()

    @group.handler()
    async def handle(event: Event[Counted], delivery: Delivery) -> None:
        names.extend(name for name, _ in delivery.headers)
        if delivery.topic == topic:
            raise ValueError("no")

    listener = EventListener(backend, group=f"of-{topic}")
    listener.add_handler_group(group)
    body = b'{"topic": "t", "key": "k", "number": 1}'
    odd = made.record(0, body, headers=[*JSON, (b"caf\xe9", b"x")])
    letters = DeadLetters(backend, group=f"of-{topic}", topic=topic)
    spelt = b"caf\xe9".decode("utf-8", "surrogateescape")
    async with listener:
        await produce(address, topic, 0, made.batch(odd))
        await eventually(lambda: listener.outcomes.dead_lettered == 1, "a dead letter", PATIENCE)
        assert names.count(spelt) == 1
        await letters.replay()
        await eventually(lambda: names.count(spelt) == 2, "the replay", PATIENCE)


async def test_what_expired_unread_is_a_problem_with_its_bounds(
    backend: KafkaBackend, address: str, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with reader_of(backend, topic) as reader:
        await produce(address, topic, 0, made.batch(*made.some(5)))
        await lengths(reader, 5)
    await produce(address, topic, 0, made.batch(*made.some(100)))
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(105)})
    finally:
        await admin.close()
    text = f"{topic}[0]: the records from 5 to 104 expired before they were read"
    async with reader_of(backend, topic) as late:
        await eventually(lambda: text in late.consumer.problems.values(), text, PATIENCE)
    assert text in caplog.text


async def test_a_rebalance_that_does_not_end_is_a_problem(address: str, topic: str) -> None:
    """One member holds on to what it has for as long as its drain takes."""
    backend = KafkaBackend(address, partitions=2, session_timeout=6, assignment_timeout=1)
    go_on = asyncio.Event()

    async def drain(_: Any) -> None:
        await go_on.wait()

    await backend.prepare(Topology(topics=(topic,)))
    subscription = Subscription(
        group=f"of-{topic}", topics=(topic,), max_in_flight=10, drain_timeout=30
    )
    async with (
        reading(backend, subscription, on_revoke=drain, acks=nothing, patience=PATIENCE) as first,
        asyncio.timeout(PATIENCE),
    ):
        assert not first.consumer.problems
        joining = asyncio.create_task(_hold(backend, subscription, go_on))
        await eventually(lambda: bool(first.consumer.problems), "a problem", PATIENCE)
        (problem,) = first.consumer.problems.values()
        assert f"the group 'of-{topic}' has assigned no partitions" in problem
        go_on.set()
        await joining
        await eventually(lambda: not first.consumer.problems, "its end", PATIENCE)


async def _hold(backend: KafkaBackend, subscription: Subscription, go_on: asyncio.Event) -> None:
    async with reading(backend, subscription, patience=PATIENCE):
        await go_on.wait()


async def _until(listener: EventListener, holds: Callable[[Health], bool]) -> Health:
    now = asyncio.get_running_loop().time
    deadline = now() + PATIENCE
    while not holds(health := await listener.health()):
        assert now() < deadline, f"still {health}"
        await asyncio.sleep(0.05)
    return health


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
