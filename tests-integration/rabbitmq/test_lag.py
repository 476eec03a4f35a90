"""Leases and lag of RabbitMQ's queues."""

import asyncio

import pytest
from brokers.local_rabbitmq import LocalRabbitMQ
from rabbitmq.setting import delete_queue, sent_and_taken, setting, take, until

from dispytch.exceptions import TransportError
from dispytch.rabbitmq import RabbitMQBackend
from dispytch.transport import Topology


async def test_lag_counts_what_is_not_handed_out(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(max_in_flight=10), await at.producer()
        await producer.send(at.messages(50))
        await take(consumer, 10, ack=False)
        assert dict(await consumer.lag()) == {f"{at.topic}:billing": 40}


async def test_a_missing_queue_has_no_lag_and_costs_no_consumer(
    node: LocalRabbitMQ, url: str
) -> None:
    async with setting(url) as at:
        await at.backend.prepare(Topology(topics=(at.topic, "other"), group="billing"))
        consumer, producer = await at.consumer(at.topic, "other"), await at.producer()
        await producer.send(at.messages(3))
        held = await take(consumer, 3, ack=False)
        asking = asyncio.create_task(consumer_lag_while_deleted(consumer.lag, node, url))
        await asking
        await until(lambda: len(at.revoked) == 2 and len(consumer.leases) == 2)
        assert set(await consumer.lag()) == {f"{at.topic}:billing", "other:billing"}
        assert held[0].lease.ended


async def consumer_lag_while_deleted(lag: object, node: LocalRabbitMQ, url: str) -> None:
    deleting = asyncio.create_task(delete_queue(node, url))
    assert callable(lag)
    while not deleting.done():
        await lag()
    await deleting


async def test_leases_are_those_of_the_deliveries(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send(at.messages(1))
        (delivery,) = await take(consumer, 1)
        assert list(consumer.leases) == [delivery.lease]


async def test_lag_of_a_broker_that_is_away_is_an_error_or_none(
    node: LocalRabbitMQ, url: str
) -> None:
    async with setting(url, "?connect_timeout=1&queue_type=classic") as at:
        consumer, producer = await at.consumer(), await at.producer()
        await asyncio.to_thread(node.kill)
        try:
            if consumer.leases:
                with pytest.raises(TransportError, match="RabbitMQ at"):
                    await consumer.lag()
            await until(lambda: not consumer.leases)
            assert await consumer.lag() == {}
        finally:
            await asyncio.to_thread(node.start)
        assert (await sent_and_taken(producer, consumer, at)).value == b"0"


def test_what_it_can_do_is_said() -> None:
    features = RabbitMQBackend().features
    assert features.delay
    assert features.hold_limit == pytest.approx(1500)


async def test_whoever_asks_for_the_lag_may_give_up_at_any_moment(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        for number in range(200):
            asking = asyncio.ensure_future(consumer.lag())
            await asyncio.sleep(number * 0.0001)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await sent_and_taken(producer, consumer, at)
        assert at.revoked == []
