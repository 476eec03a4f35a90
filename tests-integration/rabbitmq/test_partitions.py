"""Groups with partitions: the order of a key holds, whoever comes and goes."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Collection
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest
from brokers.local_rabbitmq import LocalRabbitMQ
from rabbitmq.setting import Setting, setting, take, take_all, until, values

from dispytch.exceptions import TopologyError
from dispytch.messages import Delivery, Lease, Message
from dispytch.rabbitmq import RabbitMQBackend
from dispytch.transport import Consumer, Subscription, Topology

PARTITIONED = "?partitions=4"
KEYS = [b"key-%d" % n for n in range(40)]


def keyed(at: Setting, count: int, start: int = 0) -> list[Message]:
    """So many numbered messages for each key."""
    return [
        Message(at.topic, b"%d" % number, key)
        for number in range(start, start + count)
        for key in KEYS
    ]


class Member:
    """A member that handles slowly, and counts what two members have at once."""

    busy: dict[bytes, "Member"]

    def __init__(self, at: Setting, shared: "Ledger") -> None:
        self.at = at
        self.shared = shared
        self.consumer: Consumer
        self._lanes: dict[int, list[Delivery]] = {}

    async def run(self, stack: AsyncExitStack) -> None:
        subscription = Subscription(group="billing", topics=(self.at.topic,), max_in_flight=40)
        opening = self.at.backend.consumer(subscription, self.drain)
        self.consumer = await stack.enter_async_context(opening)
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        while batch := await self.consumer.receive():
            for delivery in batch:
                self._lanes.setdefault(id(delivery.lease), []).append(delivery)
            while any(self._lanes.values()):
                for lane in list(self._lanes.values()):
                    if lane:
                        delivery = lane[0]
                        await self.shared.handle(delivery, self)
                        if lane and lane[0] is delivery:
                            lane.pop(0)
                        self.consumer.ack(delivery)

    async def drain(self, leases: Collection[Lease]) -> None:
        for lease in leases:
            lane = self._lanes.get(id(lease), [])
            running = lane[:1] if lane and lane[0] is self.shared.running.get(self) else []
            lane[:] = running
        while any(  # noqa: ASYNC110
            self.shared.running.get(self) is delivery
            for lease in leases
            for delivery in self._lanes.get(id(lease), [])
        ):
            await asyncio.sleep(0.001)
        for lease in leases:
            self._lanes.pop(id(lease), None)

    async def stop(self, stack: AsyncExitStack) -> None:
        self.consumer.stop_receiving()
        for lane in self._lanes.values():
            lane.clear()
        await self.task
        await stack.aclose()


class Ledger:
    """What was handled, per key, and how often a key was with two members at once."""

    def __init__(self) -> None:
        self.seen: dict[bytes, list[int]] = defaultdict(list)
        self.running: dict[Member, Delivery] = {}
        self.overlaps = 0

    async def handle(self, delivery: Delivery, member: Member) -> None:
        assert delivery.key is not None
        others = (each.key for who, each in self.running.items() if who is not member)
        self.overlaps += delivery.key in others
        self.running[member] = delivery
        await asyncio.sleep(0.0005)
        del self.running[member]
        self.seen[delivery.key].append(int(delivery.value))

    def complete(self, count: int) -> bool:
        return all(len(set(self.seen[key])) == count for key in KEYS)


async def test_order_holds_while_members_come_and_go(url: str) -> None:
    rounds, each = 6, 25
    async with setting(url, PARTITIONED) as at:
        await at.backend.prepare(Topology(topics=(at.topic,), group="billing"))
        producer, ledger = await at.producer(), Ledger()
        first = Member(at, ledger)
        stack = AsyncExitStack()
        await first.run(stack)
        for round_ in range(rounds):
            await producer.send(keyed(at, each, round_ * each))
            joining, its = Member(at, ledger), AsyncExitStack()
            await joining.run(its)
            await asyncio.sleep(random.uniform(0.1, 0.8))
            leaving, stack = (first, stack), its
            first = joining
            await leaving[0].stop(leaving[1])
        await until(lambda: ledger.complete(rounds * each))
        await first.stop(stack)
        assert ledger.overlaps == 0
        for key in KEYS:
            assert list(dict.fromkeys(ledger.seen[key])) == list(range(rounds * each))


async def test_closed_connections_keep_the_order(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url, PARTITIONED) as at:
        first, second = await at.consumer(), await at.consumer()
        producer, seen = await at.producer(), defaultdict[bytes, list[int]](list)

        async def read(consumer: Consumer) -> None:
            while batch := await consumer.receive():
                for delivery in batch:
                    seen[delivery.key or b""].append(int(delivery.value))
                    await asyncio.sleep(0)
                    consumer.ack(delivery)

        reading = [asyncio.create_task(read(consumer)) for consumer in (first, second)]
        await producer.send(keyed(at, 30))
        await asyncio.to_thread(node.close_connections)
        await producer.send(keyed(at, 30, 30))
        await until(lambda: all(len(set(seen[key])) == 60 for key in KEYS))
        for consumer in (first, second):
            consumer.stop_receiving()
        await asyncio.gather(*reading)
        for key in KEYS:
            assert list(dict.fromkeys(seen[key])) == list(range(60))


@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
@pytest.mark.parametrize("how", ["leaves", "is cut off"])
async def test_what_a_member_leaves_unsettled_comes_to_the_next_in_order(
    url: str, queue_type: str, how: str
) -> None:
    async with setting(url, f"?partitions=1&queue_type={queue_type}") as at:
        async with AsyncExitStack() as stack:
            first = await at.consumer(max_in_flight=6, stack=stack)
            second = await at.consumer()
            producer = await at.producer()
            await producer.send([Message(at.topic, b"%d" % n, b"k") for n in range(40)])
            held = await take(first, 6, ack=False)
            first.ack(held[1])
            first.ack(held[3])
            await first.flush()
            if how == "is cut off":
                consumption = getattr(held[0].lease, "consumption", None)
                assert consumption is not None
                await consumption._channel.connection.close()
        got = values(await take(second, 38))
        expected = [n for n in range(40) if n not in (1, 3)]
        assert got == expected


async def test_three_members_share_six_partitions(url: str) -> None:
    async with setting(url, "?partitions=6") as at:
        members = [await at.consumer() for _ in range(3)]
        await until(lambda: [len(member.leases) for member in members] == [2, 2, 2])
        streams = {lease.stream for member in members for lease in member.leases}
        assert streams == {f"{at.topic}.#.{n}:billing" for n in range(6)}


async def test_messages_without_a_key_are_in_one_partition_and_in_order(url: str) -> None:
    async with setting(url, PARTITIONED) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send(at.messages(100))
        got = await take(consumer, 100)
        assert values(got) == list(range(100))
        assert len({delivery.lease for delivery in got}) == 1


async def test_keys_are_spread_over_the_partitions(url: str) -> None:
    async with setting(url, PARTITIONED) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send(keyed(at, 2))
        got = await take(consumer, 80)
        assert len({delivery.lease for delivery in got}) == 4
        for key in KEYS:
            assert len({delivery.lease for delivery in got if delivery.key == key}) == 1


async def test_a_delayed_message_keeps_its_partition(url: str) -> None:
    async with setting(url, PARTITIONED) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send([Message(at.topic, b"0", KEYS[0])])
        await producer.send([Message(at.topic, b"1", KEYS[0])], delay=0.2)
        got = await take(consumer, 2)
        assert len({delivery.lease for delivery in got}) == 1


async def test_lag_and_leases_are_of_what_a_member_holds(url: str) -> None:
    async with setting(url, PARTITIONED) as at:
        first, second = await at.consumer(max_in_flight=4), await at.consumer(max_in_flight=4)
        await until(lambda: [len(first.leases), len(second.leases)] == [2, 2])
        producer = await at.producer()
        await producer.send(keyed(at, 5))
        await asyncio.sleep(0.5)
        lags = [await first.lag(), await second.lag()]
        assert not lags[0].keys() & lags[1].keys()
        assert sum(lags[0].values()) + sum(lags[1].values()) == 200


async def test_a_broker_without_the_plugin_says_how_to_get_it(
    node: LocalRabbitMQ, url: str
) -> None:
    vhost = urlsplit(url).path[1:]
    node.eval('rabbit_registry:unregister(exchange, <<"x-consistent-hash">>).')
    try:
        async with setting(url, PARTITIONED) as at:
            with pytest.raises(TopologyError, match="rabbitmq-plugins enable") as caught:
                await at.backend.prepare(Topology(topics=(at.topic,), group="billing"))
            assert "rabbitmq_consistent_hash_exchange" in str(caught.value)
            assert vhost
    finally:
        node.eval(
            'rabbit_registry:register(exchange, <<"x-consistent-hash">>, '
            "rabbit_exchange_type_consistent_hash)."
        )


@pytest.mark.parametrize("before", ["", "?partitions=6"])
async def test_queues_that_nobody_would_consume_any_more_are_named(url: str, before: str) -> None:
    async with setting(url, before) as at:
        topology = Topology(topics=(at.topic,), group="billing")
        await at.backend.prepare(topology)
        partitioned = RabbitMQBackend.from_url(url + PARTITIONED)
        with pytest.raises(TopologyError, match="another number of partitions"):
            await partitioned.prepare(topology)


async def test_a_member_may_join_while_the_broker_takes_no_messages(
    node: LocalRabbitMQ, url: str
) -> None:
    async with setting(url, PARTITIONED) as at:
        producer, first = await at.producer(), await at.consumer()
        await producer.send(keyed(at, 2))
        with node.memory_alarm():
            second = await at.consumer()
            got = await asyncio.gather(take_all(first, 2.0), take_all(second, 2.0))
        assert sorted(values(got[0] + got[1])) == sorted([0, 1] * len(KEYS))
