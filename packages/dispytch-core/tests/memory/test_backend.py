"""What is particular to the in-memory backend."""

import asyncio
from collections.abc import Collection
from uuid import uuid4

import pytest

from dispytch.exceptions import SendError, SendTimeout, TopologyError, Unroutable
from dispytch.memory import MemoryBackend, MemoryBroker, consumer
from dispytch.messages import Lease, Message
from dispytch.testing.transport.reader import Reader, eventually, nothing, reading
from dispytch.transport import Declare, Subscription, Topology


@pytest.fixture
def name() -> str:
    """A broker that no other test uses."""
    return uuid4().hex


def subscription(
    group: str = "group", max_in_flight: int = 100, drain_timeout: float = 5.0
) -> Subscription:
    return Subscription(
        group=group, topics=("topic",), max_in_flight=max_in_flight, drain_timeout=drain_timeout
    )


async def send(backend: MemoryBackend, *values: bytes, key: bytes | None = b"key") -> None:
    async with backend.producer() as producer:
        await producer.send([Message("topic", value, key) for value in values])


async def received(reader: Reader, count: int) -> None:
    await eventually(lambda: len(reader.deliveries) >= count, f"{count} deliveries", 5.0)


async def test_a_broker_of_its_own_is_shared_with_nobody_of_that_name(name: str) -> None:
    own = MemoryBroker()
    await send(MemoryBackend(name, broker=own), b"0")
    await send(MemoryBackend(name), b"1")
    async with reading(MemoryBackend("other", broker=own), subscription()) as reader:
        await received(reader, 1)
    assert [delivery.value for delivery in reader.deliveries] == [b"0"]


async def test_backends_of_one_name_share_and_others_do_not(name: str) -> None:
    await send(MemoryBackend(name), b"0")
    await send(MemoryBackend(name + "-other"), b"1")
    async with reading(MemoryBackend.from_url(f"memory://{name}"), subscription()) as reader:
        await received(reader, 1)
    assert reader.values == [b"0"]


async def test_a_key_has_one_partition_and_no_key_takes_each_in_turn(name: str) -> None:
    backend = MemoryBackend(name, partitions=3)
    async with reading(backend, subscription()) as reader:
        await send(backend, *[b"keyed"] * 9)
        await send(backend, *[b"unkeyed"] * 9, key=None)
        await received(reader, 18)
    streams = [(d.value, d.lease.stream) for d in reader.deliveries]
    assert len({stream for value, stream in streams if value == b"keyed"}) == 1
    for number in range(3):
        assert streams.count((b"unkeyed", f"topic[{number}]")) == 3


async def test_a_full_log_discards_what_every_group_has_settled(name: str) -> None:
    backend = MemoryBackend(name, retention=3, send_timeout=0.01)
    async with reading(backend, subscription()) as reader:
        for number in range(10):
            await send(backend, b"%d" % number)
            await received(reader, number + 1)
    async with reading(backend, subscription("late")) as late:
        await received(late, 3)
    assert late.values == [b"7", b"8", b"9"]


async def test_a_full_log_of_no_group_keeps_the_newest(name: str) -> None:
    backend = MemoryBackend(name, retention=3)
    await send(backend, *[b"%d" % number for number in range(10)])
    async with reading(backend, subscription()) as reader:
        await received(reader, 3)
    assert reader.values == [b"7", b"8", b"9"]


async def test_send_waits_for_room_and_then_names_what_is_not_taken(name: str) -> None:
    backend = MemoryBackend(name, retention=2, send_timeout=0.02)
    async with reading(backend, subscription(), acks=nothing):
        with pytest.raises(SendError) as caught:
            await send(backend, b"0", b"1", b"2", b"3")
    assert list(caught.value.failures) == [2, 3]
    assert all(isinstance(error, SendTimeout) for error in caught.value.failures.values())


async def test_send_goes_on_in_order_as_soon_as_there_is_room(name: str) -> None:
    backend = MemoryBackend(name, retention=2, send_timeout=5.0)
    async with reading(backend, subscription(), acks=nothing) as reader:
        sending = asyncio.create_task(send(backend, *[b"%d" % number for number in range(6)]))
        for number in range(6):
            await received(reader, number + 1)
            assert sending.done() == (number >= 4)
            reader.ack(reader.deliveries[number])
        await sending
    assert reader.values == [b"%d" % number for number in range(6)]


async def test_a_full_partition_does_not_hold_up_another(name: str) -> None:
    backend = MemoryBackend(name, partitions=64, retention=1, send_timeout=0.02)
    async with reading(backend, subscription(), acks=nothing) as reader:
        with pytest.raises(SendError) as caught:
            async with backend.producer() as producer:
                await producer.send(
                    [Message("topic", key, key) for key in (b"a", b"a", b"b", b"a", b"c")]
                )
        await received(reader, 3)
    assert list(caught.value.failures) == [1, 3]
    assert sorted(reader.values) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("declare", ["check", "never"])
async def test_a_missing_topic_is_not_made_unless_declared(name: str, declare: Declare) -> None:
    backend = MemoryBackend(name, declare=declare)
    with pytest.raises(SendError) as caught:
        await send(backend, b"0")
    assert isinstance(caught.value.failures[0], Unroutable)
    with pytest.raises(TopologyError, match="topic"):
        async with reading(backend, subscription()):
            pass
    await MemoryBackend(name).prepare(Topology(topics=("topic",)))
    await backend.prepare(Topology(topics=("topic",)))
    await send(backend, b"1")
    async with reading(backend, subscription()) as reader:
        await received(reader, 1)


async def test_check_refuses_and_never_does_not_look(name: str) -> None:
    with pytest.raises(TopologyError, match="'topic'"):
        await MemoryBackend(name, declare="check").prepare(Topology(topics=("topic",)))
    await MemoryBackend(name, declare="never").prepare(Topology(topics=("topic",)))
    with pytest.raises(TopologyError):
        await MemoryBackend(name).prepare(Topology(topics=("",)))


async def test_a_handler_cannot_reach_into_the_log(name: str) -> None:
    backend = MemoryBackend(name)
    headers = [("name", b"value")]
    async with (
        reading(backend, subscription("one"), acks=nothing) as one,
        reading(backend, subscription("other")) as other,
        backend.producer() as producer,
    ):
        await producer.send([Message("topic", b"0", b"key", headers)])
        headers.append(("later", b""))
        await received(one, 1)
        await received(other, 1)
        spoilt = one.deliveries[0]
        spoilt.value, spoilt.headers, spoilt.topic = b"spoilt", (), "spoilt"
        one.nack(spoilt)
        await received(one, 2)
    for delivery in (one.deliveries[1], other.deliveries[0]):
        assert (delivery.topic, delivery.value) == ("topic", b"0")
        assert list(delivery.headers) == [("name", b"value")]


@pytest.mark.parametrize("stuck", [True, False], ids=["stuck", "failing"])
async def test_a_listener_that_does_not_let_go_is_not_waited_for(
    name: str, stuck: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(consumer, "_GRACE", 0.01)
    backend = MemoryBackend(name, partitions=2)

    async def on_revoke(_: Collection[Lease]) -> None:
        if stuck:
            await asyncio.Event().wait()
        raise RuntimeError("broken")

    impatient = subscription(drain_timeout=0.01)
    async with reading(backend, impatient, acks=nothing, on_revoke=on_revoke) as first:
        await send(backend, *[b"%d" % number for number in range(8)], key=None)
        await received(first, 8)
        async with reading(backend, subscription()) as second:
            await received(second, 4)
    assert "what is unsettled there comes again" in caplog.text


async def test_a_consumer_can_leave_while_it_gives_streams_up(name: str) -> None:
    backend = MemoryBackend(name, partitions=2)
    asked, never = asyncio.Event(), asyncio.Event()

    async def on_revoke(_: Collection[Lease]) -> None:
        asked.set()
        await never.wait()

    patient = subscription(drain_timeout=60.0)
    async with reading(backend, patient, acks=nothing, on_revoke=on_revoke) as first:
        await send(backend, *[b"%d" % number for number in range(8)], key=None)
        await received(first, 8)
        last = reading(backend, subscription())
        second = await last.__aenter__()
        await asyncio.wait_for(asked.wait(), 5.0)
    await received(second, 8)
    await last.__aexit__(None, None, None)


async def test_a_listener_is_asked_for_one_thing_at_a_time(name: str) -> None:
    backend = MemoryBackend(name, partitions=6)
    asked: list[Collection[Lease]] = []
    go_on = asyncio.Event()

    async def on_revoke(leases: Collection[Lease]) -> None:
        asked.append(leases)
        await go_on.wait()

    async with (
        reading(backend, subscription(), on_revoke=on_revoke),
        reading(backend, subscription()) as second,
        reading(backend, subscription()) as third,
    ):
        await eventually(lambda: len(asked) == 1, "the first revocation", 5.0)
        go_on.set()
        await send(backend, *[b""] * 6, key=None)
        await eventually(lambda: len(second.values) == len(third.values) == 2, "even shares", 5.0)
    assert sum(map(len, asked)) == 4


async def test_a_stream_that_has_gone_takes_no_room_in_the_window(name: str) -> None:
    backend = MemoryBackend(name, partitions=2)
    async with reading(backend, subscription(max_in_flight=4), acks=nothing) as first:
        await send(backend, *[b"%d" % number for number in range(16)], key=None)
        await received(first, 4)
        async with reading(backend, subscription(max_in_flight=4)) as second:
            await received(second, 8)
            await received(first, 6)
    assert len({delivery.lease for delivery in first.deliveries[4:]}) == 1


async def test_a_new_stream_gets_its_share_while_the_old_one_has_too_much(name: str) -> None:
    backend = MemoryBackend(name, partitions=2)
    async with reading(backend, subscription(max_in_flight=8), acks=nothing) as first:
        async with reading(backend, subscription(max_in_flight=1), acks=nothing) as second:
            await send(backend, *[b"%d" % number for number in range(40)], key=None)
            await received(second, 1)
            await received(first, 8)
        for number in range(8, 12):
            first.ack(first.deliveries[number - 8])
            await received(first, number + 1)
    assert len({delivery.lease for delivery in first.deliveries[8:12]}) == 1
    assert first.deliveries[8].lease is not first.deliveries[0].lease


async def test_leaving_a_producer_waits_for_a_send_that_waits_for_room(name: str) -> None:
    backend = MemoryBackend(name, retention=1, send_timeout=5.0)
    async with reading(backend, subscription(), acks=nothing) as reader:
        async with backend.producer() as producer:
            message = Message("topic", b"", b"key")
            sending = asyncio.create_task(producer.send([message, message]))
            await received(reader, 1)
            asyncio.get_running_loop().call_later(0.01, reader.ack, reader.deliveries[0])
        assert sending.done()
        await sending


async def test_more_streams_than_window_are_served_in_turn(name: str) -> None:
    backend = MemoryBackend(name, partitions=16)
    async with reading(backend, subscription(max_in_flight=3), acks=nothing) as reader:
        await send(backend, *[b""] * 64, key=None)
        for number in range(64):
            await received(reader, number + 1)
            reader.ack(reader.unsettled[0])
    assert reader.peak <= 3
    assert len({delivery.lease for delivery in reader.deliveries[:16]}) == 16


def test_an_event_loop_that_is_gone_holds_nothing(name: str) -> None:
    backend = MemoryBackend(name, retention=8, send_timeout=0.01)
    gone = asyncio.new_event_loop()

    async def abandon() -> None:
        left = backend.consumer(subscription(), lambda _: asyncio.sleep(0))
        member = await left.__aenter__()
        await send(backend, *[b"%d" % number for number in range(8)])
        assert len(await member.receive()) == 8
        waiting = [member.receive(), send(backend, b"never")]
        abandoned.extend([left, *map(asyncio.ensure_future, waiting)])
        await asyncio.sleep(0)

    abandoned: list[object] = []
    gone.run_until_complete(abandon())
    gone.close()

    async def go_on() -> None:
        async with reading(backend, subscription()) as reader:
            await received(reader, 8)
            await send(backend, b"8")
            await received(reader, 9)
        assert reader.values == [b"%d" % number for number in range(9)]

    asyncio.run(go_on())


async def test_a_send_lets_others_run(name: str) -> None:
    backend = MemoryBackend(name)
    ran = asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)
    await send(backend, b"0")
    assert ran.is_set()


async def test_an_idle_consumer_is_not_woken_by_its_own_acks(name: str) -> None:
    backend = MemoryBackend(name)
    async with backend.consumer(subscription(), lambda _: asyncio.sleep(0)) as member:
        await send(backend, b"0", b"1")
        first, second = await member.receive()
        waiting = asyncio.create_task(member.receive())
        await asyncio.sleep(0)
        member.ack(second)
        member.ack(first)
        await asyncio.sleep(0)
        assert not waiting.done()
        member.stop_receiving()
        assert not await waiting
