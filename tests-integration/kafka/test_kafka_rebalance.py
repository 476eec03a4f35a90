"""What a rebalance, or a lost membership, costs: repeats of what was not settled, never a loss."""

import asyncio
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from brokers.broker import Broker

from dispytch.kafka import KafkaBackend
from dispytch.messages import Delivery, Lease, Message
from dispytch.testing.transport.reader import Choice, Reader, eventually, everything, reading
from dispytch.transport import OnRevoke, Subscription

PATIENCE = 60.0
KEYS = [b"key-%d" % number for number in range(40)]


@pytest.fixture
def topic() -> str:
    return f"orders-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def group() -> str:
    return f"billing-{uuid.uuid4().hex[:12]}"


def _backend(kafka: Broker, partitions: int) -> KafkaBackend:
    address = kafka.url.removeprefix("kafka://")
    return KafkaBackend(address, partitions=partitions, session_timeout=6)


@asynccontextmanager
async def _reading(
    backend: KafkaBackend,
    group: str,
    topic: str,
    *,
    acks: Choice = everything,
    on_revoke: OnRevoke | None = None,
    drain_timeout: float = 5.0,
) -> AsyncIterator[Reader]:
    subscription = Subscription(
        group=group, topics=(topic,), max_in_flight=400, drain_timeout=drain_timeout
    )
    async with reading(
        backend, subscription, acks=acks, on_revoke=on_revoke, patience=PATIENCE
    ) as reader:
        yield reader


async def _send(backend: KafkaBackend, topic: str, start: int, stop: int) -> None:
    async with backend.producer() as producer:
        await producer.send(
            [Message(topic, b"%06d" % n, KEYS[n % len(KEYS)]) for n in range(start, stop)]
        )


async def test_what_is_settled_stays_settled_when_the_drain_is_too_short(
    kafka: Broker, topic: str, group: str
) -> None:
    backend = _backend(kafka, 4)
    await _send(backend, topic, 0, 200)
    stuck = b"000100"

    async def slow(_: Collection[Lease]) -> None:
        await asyncio.sleep(60)

    async with _reading(
        backend, group, topic, acks=lambda one: one.value < stuck, on_revoke=slow, drain_timeout=1
    ) as first:
        await eventually(lambda: len(first.deliveries) >= 200, "all", PATIENCE)
        left = first.unsettled
        async with _reading(backend, group, topic) as second:
            await eventually(lambda: all(one.lease.ended for one in left), "the end", PATIENCE)
            for late in left:
                first.ack(late)
            await eventually(
                lambda: len(first.deliveries) + len(second.deliveries) >= 250, "a half", PATIENCE
            )
    async with _reading(backend, group, topic) as third:
        await _send(backend, topic, 200, 210)
        await eventually(
            lambda: set(third.values) >= {b"%06d" % n for n in range(200, 210)}, "end", 60
        )
    again = Counter([*first.values[200:], *second.values, *third.values])
    assert set(again) == {b"%06d" % number for number in range(100, 210)}


async def test_slow_handlers_and_members_that_come_and_go_repeat_nothing(
    kafka: Broker, topic: str, group: str
) -> None:
    backend = _backend(kafka, 8)
    handled: dict[bytes | None, list[bytes]] = defaultdict(list)
    running: Counter[bytes | None] = Counter()

    @asynccontextmanager
    async def member() -> AsyncIterator[None]:
        queues: dict[bytes | None, asyncio.Queue[Delivery]] = {}
        busy: set[asyncio.Task[None]] = set()
        unfinished: dict[Lease, int] = defaultdict(int)

        def take(delivery: Delivery) -> bool:
            if delivery.key not in queues:
                queues[delivery.key] = asyncio.Queue()
                busy.add(asyncio.create_task(handle(queues[delivery.key])))
            unfinished[delivery.lease] += 1
            queues[delivery.key].put_nowait(delivery)
            return False

        async def handle(queue: asyncio.Queue[Delivery]) -> None:
            while True:
                delivery = await queue.get()
                if delivery.lease not in revoked:
                    running[delivery.key] += 1
                    assert running[delivery.key] == 1, "two handle one key at once"
                    await asyncio.sleep(0.05)
                    running[delivery.key] -= 1
                    handled[delivery.key].append(delivery.value)
                    reader.ack(delivery)
                unfinished[delivery.lease] -= 1

        revoked: set[Lease] = set()

        async def drain(leases: Collection[Lease]) -> None:
            revoked.update(leases)
            await eventually(
                lambda: not any(unfinished[lease] for lease in leases), "a drain", PATIENCE
            )

        async with _reading(backend, group, topic, acks=take, on_revoke=drain) as reader:
            try:
                yield
                reader.consumer.stop_receiving()
                await drain(list(reader.consumer.leases))
            finally:
                for task in busy:
                    task.cancel()
                results = await asyncio.gather(*busy, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

    await _send(backend, topic, 0, 2000)
    async with member():
        for _ in range(3):
            async with member():
                await asyncio.sleep(1)
        await eventually(lambda: sum(map(len, handled.values())) >= 2000, "everything", PATIENCE)
    assert sorted(value for values in handled.values() for value in values) == [
        b"%06d" % number for number in range(2000)
    ]
    assert all(values == sorted(values) for values in handled.values())


@pytest.mark.parametrize("settled", [10, 0], ids=["something to commit", "nothing to commit"])
async def test_a_member_that_was_given_up_loses_nothing(
    kafka: Broker, topic: str, group: str, settled: int
) -> None:
    backend = _backend(kafka, 1)
    await _send(backend, topic, 0, 2000)
    done: set[bytes] = set()
    stalled = False

    def handle(delivery: Delivery) -> bool:
        if stalled:
            done.add(delivery.value)
        return stalled

    async with _reading(backend, group, topic, acks=handle) as reader:
        await eventually(lambda: len(reader.deliveries) >= 400, "the window", PATIENCE)
        await asyncio.sleep(1)
        early = reader.unsettled
        for delivery in early[:settled]:
            reader.ack(delivery)
            done.add(delivery.value)
        # The event loop stands still for longer than the session's timeout.
        time.sleep(8)  # noqa: ASYNC251
        stalled = True
        for delivery in early[200:]:
            reader.ack(delivery)
        await eventually(lambda: len(done) >= 2000, "everything", PATIENCE)
