"""What is particular to delays at the in-memory broker."""

import asyncio
from uuid import uuid4

import pytest

from dispytch.memory import MemoryBackend
from dispytch.memory.bell import Bell
from dispytch.memory.broker import MemoryBroker
from dispytch.memory.delayed import Delayed
from dispytch.memory.log import Record
from dispytch.memory.topic import Partition
from dispytch.messages import Message
from dispytch.testing.transport.reader import Reader, eventually, nothing, reading
from dispytch.transport import Subscription

HOUR = 3600.0


@pytest.fixture
def name() -> str:
    """A broker that no other test uses."""
    return uuid4().hex


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(name: str) -> Clock:
    """The clock of that broker."""
    clock = Clock()
    MemoryBroker.named(name).delayed.clock = clock
    return clock


def subscription(group: str = "group") -> Subscription:
    return Subscription(group=group, topics=("topic",), max_in_flight=100)


async def send(backend: MemoryBackend, *values: bytes, delay: float | None = None) -> None:
    async with backend.producer() as producer:
        await producer.send([Message("topic", value, b"key") for value in values], delay=delay)


async def received(reader: Reader, count: int) -> None:
    await eventually(lambda: len(reader.deliveries) >= count, f"{count} deliveries", 5.0)


async def test_nothing_is_appended_before_its_time(name: str, clock: Clock) -> None:
    backend, delayed = MemoryBackend(name), MemoryBroker.named(name).delayed
    async with reading(backend, subscription()) as reader:
        await send(backend, b"late", delay=2 * HOUR)
        await send(backend, b"0", b"1", delay=HOUR)
        await send(backend, b"2", delay=HOUR)
        await send(backend, b"now", delay=0.0)
        await received(reader, 1)
        clock.now += HOUR - 0.001
        delayed.deliver()
        assert len(delayed) == 4
        clock.now += 0.002
        delayed.deliver()
        await received(reader, 4)
        assert await reader.consumer.lag() == dict.fromkeys(await reader.consumer.lag(), 0)
        clock.now += HOUR
        delayed.deliver()
        await received(reader, 5)
    assert reader.values == [b"now", b"0", b"1", b"2", b"late"]
    assert not len(delayed)


async def test_what_is_due_waits_for_room_in_its_partition_and_keeps_its_order(name: str) -> None:
    backend = MemoryBackend(name, retention=2)
    async with reading(backend, subscription(), acks=nothing) as reader:
        await send(backend, b"0", b"1")
        await send(backend, b"2", b"3", delay=0.001)
        await send(backend, b"4", delay=0.002)
        await received(reader, 2)
        await asyncio.sleep(0.03)
        for number in range(5):
            await received(reader, number + 1)
            reader.ack(reader.deliveries[number])
    assert reader.values == [b"%d" % number for number in range(5)]


async def test_a_full_partition_does_not_hold_up_what_is_due_in_another(name: str) -> None:
    backend = MemoryBackend(name, partitions=64, retention=1)
    async with reading(backend, subscription(), acks=nothing) as reader:
        async with backend.producer() as producer:
            await producer.send([Message("topic", b"0", b"full")])
            await producer.send([Message("topic", b"1", b"full")], delay=0.001)
            await producer.send([Message("topic", b"2", b"free")], delay=0.002)
        await received(reader, 2)
        assert reader.values == [b"0", b"2"]
        reader.ack(reader.deliveries[0])
        await received(reader, 3)


def test_a_delay_outlives_the_event_loop_in_which_it_was_sent(name: str) -> None:
    backend = MemoryBackend(name)

    async def read(count: int) -> list[bytes]:
        async with reading(backend, subscription()) as reader:
            await received(reader, count)
        return reader.values

    async def read_and_send() -> None:
        async with reading(backend, subscription()):
            await send(backend, b"0", delay=0.02)

    asyncio.run(read_and_send())
    asyncio.run(send(backend, b"1", delay=0.01))
    assert sorted(asyncio.run(read(2))) == [b"0", b"1"]


def test_a_loop_that_waits_is_told_of_what_another_one_has_sent(name: str) -> None:
    backend = MemoryBackend(name)
    patient = asyncio.new_event_loop()
    left = backend.consumer(subscription(), lambda _: asyncio.sleep(0))
    consumer = patient.run_until_complete(left.__aenter__())
    asyncio.run(send(backend, b"0", delay=0.01))
    (delivery,) = patient.run_until_complete(asyncio.wait_for(consumer.receive(), 5.0))
    assert delivery.value == b"0"
    patient.run_until_complete(left.__aexit__(None, None, None))
    patient.close()


async def test_a_group_at_latest_does_not_get_what_was_due_before_it_came(name: str) -> None:
    backend = MemoryBackend(name)
    await send(backend, b"0", delay=0.001)
    await asyncio.sleep(0.01)
    latest = Subscription(group="g", topics=("topic",), max_in_flight=1, start_at="latest")
    async with reading(backend, latest) as reader:
        await send(backend, b"1", delay=0.001)
        await received(reader, 1)
    assert reader.values == [b"1"]


def test_it_says_when_the_next_record_is_due() -> None:
    delayed = Delayed(lambda: 0.0)
    assert delayed.next_due is None
    partition = Partition("orders", 0, retention=10, room=Bell())
    for due in (5.0, 3.0):
        delayed.add(due, partition, Record(None, b"", (), 0))
    assert delayed.next_due == 3.0
