"""Messages that RabbitMQ keeps back: never early, never lost."""

import asyncio
import time
from urllib.parse import urlsplit

import pytest
from brokers.local_rabbitmq import LocalRabbitMQ
from rabbitmq.setting import QUORUM_SETTLES, delete_queue, setting, take, until, values

from dispytch.exceptions import SendError, TransportError
from dispytch.messages import Message
from dispytch.rabbitmq import RabbitMQBackend, RabbitMQEventConfig, delays
from dispytch.transport import Topology

RETRY_AFTER = "dead_letter_worker_publisher_confirm_timeout"
"""Milliseconds after which the broker tries again what had no queue to go to."""


async def test_a_delayed_message_comes_as_it_was_sent_and_not_early(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        headers = [("a", b"1"), ("binary", b"\xff")]
        began = time.monotonic()
        await producer.send([Message(at.topic, b"later", b"k", headers)], delay=0.45)
        assert time.monotonic() - began < 0.4
        (delivery,) = await take(consumer, 1)
        assert time.monotonic() - began >= 0.45
        assert (delivery.topic, delivery.value, delivery.key) == (at.topic, b"later", b"k")
        got = [header for header in delivery.headers if header[0] != "message-id"]
        assert sorted(got) == sorted(headers)


async def test_a_short_delay_does_not_wait_behind_a_long_one(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send([Message(at.topic, b"3")], delay=2.0)
        await producer.send([Message(at.topic, b"2")], delay=1.0)
        await producer.send([Message(at.topic, b"1")], delay=0.1)
        await producer.send([Message(at.topic, b"0")])
        assert values(await take(consumer, 4)) == [0, 1, 2, 3]


async def test_an_expiration_does_not_end_a_delay(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        began = time.monotonic()
        config = RabbitMQEventConfig(expiration=0.05)
        await producer.send([Message(at.topic, b"", config=config)], delay=0.5)
        await take(consumer, 1)
        assert time.monotonic() - began >= 0.5


async def test_delayed_messages_survive_a_killed_broker(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send(at.messages(1), delay=10)
        await asyncio.sleep(QUORUM_SETTLES)
        began = time.monotonic()
        sent = [Message(at.topic, b"%d" % n) for n in range(1, 101)]
        await producer.send(sent, delay=10)
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.start)
        got = values(await take(consumer, 101))
        assert time.monotonic() - began >= 10
        assert sorted(set(got)) == list(range(101))


async def test_a_delay_queue_that_was_deleted_is_made_again(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url) as at:
        producer = await at.producer()
        await producer.send(at.messages(1), delay=20)
        await delete_queue(node, url)
        consumer = await at.consumer()
        await producer.send(at.messages(5), delay=20 / 20)
        await producer.send(at.messages(5), delay=0.1)
        await take(consumer, 10)
        await delete_delay_queues(node, url)
        await producer.send(at.messages(5), delay=0.1)
        assert values(await take(consumer, 5)) == list(range(5))


async def delete_delay_queues(node: LocalRabbitMQ, url: str) -> None:
    vhost = url.rpartition("/")[2]
    await asyncio.to_thread(
        node.eval,
        f'[rabbit_amqqueue:delete(Q, false, false, <<"test">>) '
        f'|| Q <- rabbit_amqqueue:list(<<"{vhost}">>), '
        'binary:match(element(4, element(2, Q)), <<".#.delay.">>) =/= nomatch].',
    )


async def test_what_nobody_takes_when_it_is_due_waits_and_holds_up_nobody(
    node: LocalRabbitMQ, url: str
) -> None:
    node.eval(f"application:set_env(rabbit, {RETRY_AFTER}, 1000).")
    try:
        async with setting(url) as at:
            consumer, producer = await at.consumer(), await at.producer()
            stranded = at.messages(100, "nobody.yet")
            await producer.send(stranded, delay=0.1)
            await asyncio.sleep(0.5)
            await producer.send(at.messages(3), delay=0.1)
            assert values(await take(consumer, 3)) == [0, 1, 2]
            late = await at.consumer("nobody.yet")
            assert values(await take(late, 100)) == list(range(100))
    finally:
        node.eval(f"application:set_env(rabbit, {RETRY_AFTER}, 180000).")


async def test_a_delayed_message_may_be_sent_again_and_again(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send([Message(at.topic, b"x", b"k", [("n", b"1")])], delay=0.1)
        for _ in range(5):
            (came,) = await take(consumer, 1)
            again = Message(at.topic, came.value, came.key, came.headers, repeats=came)
            await producer.send([again], delay=0.1)
        (came,) = await take(consumer, 1)
        assert [header for header in came.headers if header[0] != "message-id"] == [("n", b"1")]


async def test_a_delay_beyond_what_the_broker_can_have_is_refused(url: str) -> None:
    async with setting(url) as at:
        producer = await at.producer()
        with pytest.raises(SendError, match="49 days"):
            await producer.send(at.messages(2), delay=60 * 86_400)


@pytest.mark.parametrize("mode", ["check", "never"])
async def test_where_nothing_may_be_declared_a_missing_delay_queue_is_named(
    url: str, mode: str
) -> None:
    async with setting(url) as at:
        await at.backend.prepare(Topology(topics=(at.topic,), group="billing"))
        at.backend = RabbitMQBackend.from_url(f"{url}?declare={mode}")
        producer = await at.producer()
        with pytest.raises(SendError) as caught:
            await producer.send(at.messages(2), delay=1)
        assert sorted(caught.value.failures) == [0, 1]
        for failure in caught.value.failures.values():
            assert isinstance(failure, TransportError)
            assert f"delay queue 'dispytch.#.delay.1000:{at.topic}'" in str(failure)
            assert "declare='auto'" in str(failure)


async def test_leaving_the_producer_waits_for_what_is_being_delayed(url: str) -> None:
    async with setting(url) as at:
        consumer = await at.consumer()
        async with at.backend.producer() as producer:
            sending = asyncio.create_task(producer.send(at.messages(100), delay=0.1))
            await asyncio.sleep(0)
        await until(sending.done)
        await sending
        assert values(await take(consumer, 100)) == list(range(100))


async def test_delay_queues_of_topics_that_come_and_go_do_not_stay(
    node: LocalRabbitMQ, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, milliseconds in (("WEEK", 2000), ("_LEFT_ALONE", 2000), ("_DAY", 500)):
        monkeypatch.setattr(delays, name, milliseconds)
    async with setting(url, "?queue_type=classic") as at:
        topics = [f"{at.topic}.{number}" for number in range(20)]
        await at.backend.prepare(Topology(topics=tuple(topics), group="billing"))
        consumer, producer = await at.consumer(*topics), await at.producer()
        await producer.send([Message(topic, b"0") for topic in topics], delay=1)
        assert delay_queues(node, url)
        assert len(await take(consumer, 20)) == 20
        await until(lambda: not delay_queues(node, url))
        await producer.send([Message(topic, b"1") for topic in topics], delay=1)
        assert set(values(await take(consumer, 20))) == {1}


def delay_queues(node: LocalRabbitMQ, url: str) -> int:
    vhost = urlsplit(url).path[1:]
    return int(
        node.eval(
            f'length([Q || Q <- rabbit_amqqueue:list(<<"{vhost}">>), '
            'binary:match(element(4, element(2, Q)), <<".#.delay.">>) =/= nomatch]).'
        )
    )
