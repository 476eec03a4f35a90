"""The RabbitMQ backend against its contract, on a broker that is killed, blocked and emptied."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pika
import pytest
from brokers.local_rabbitmq import LocalRabbitMQ
from rabbitmq.setting import (
    PATIENCE,
    QUORUM_SETTLES,
    as_coroutine,
    delete_queue,
    nothing_comes,
    queue_length,
    sent_and_taken,
    setting,
    take,
    take_all,
    until,
    values,
)

from dispytch.exceptions import (
    BrokerUnreachable,
    MessageTooLarge,
    SendError,
    SendTimeout,
    TopologyError,
    Unroutable,
)
from dispytch.messages import Message
from dispytch.rabbitmq import RabbitMQBackend, RabbitMQEventConfig
from dispytch.rabbitmq.topology import KEY_HEADER
from dispytch.transport import Subscription, Topology


def sorted_headers(message: Message) -> list[tuple[str, bytes]]:
    """A table of AMQP has no order, and the driver gives every message an id."""
    return sorted(
        header for header in message.headers if header[0] not in ("message-id", KEY_HEADER)
    )


def pika_publish(url: str, topic: str, body: bytes, properties: pika.BasicProperties) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url.replace("rabbitmq://", "amqp://")))
    connection.channel().basic_publish("dispytch", topic, body, properties)
    connection.close()


@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
async def test_messages_come_as_they_were_sent(url: str, queue_type: str) -> None:
    async with setting(url, f"?queue_type={queue_type}") as at:
        producer, consumer = await at.producer(), await at.consumer()
        sent = [
            Message(at.topic, b"", headers=()),
            Message(at.topic, b"\x00\xff" * 10, key=b"\xff\x00key"),
            Message(at.topic, "größe ✓".encode(), key="schlüssel".encode()),
            Message(
                at.topic,
                b"{}",
                headers=[
                    ("z", b"1"),
                    ("a", "ü".encode()),
                    ("binary", b"\xff\xfe"),
                    ("empty", b""),
                    ("größe", b"2"),
                    ("content-type", b"application/json"),
                ],
            ),
            Message(at.topic, bytes(900_000)),
        ]
        await producer.send(sent)
        got = await take(consumer, len(sent))
        for message, delivery in zip(sent, got, strict=True):
            assert (delivery.topic, delivery.value, delivery.key, sorted_headers(delivery)) == (
                message.topic,
                message.value,
                message.key,
                sorted_headers(message),
            )
            assert delivery.lease.topic == at.topic


async def test_a_colon_in_a_topic_is_kept_for_the_subscriber(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer("order:paid"), await at.producer()
        await producer.send(at.messages(1, "order:paid"))
        (delivery,) = await take(consumer, 1)
        assert delivery.topic == "order:paid"


async def test_what_pika_sends_is_read(url: str) -> None:
    async with setting(url) as at:
        consumer = await at.consumer()
        properties = pika.BasicProperties(
            content_type="application/json", type="paid", message_id="7", headers={"n": 5}
        )
        await asyncio.to_thread(pika_publish, url, at.topic, b"[]", properties)
        (delivery,) = await take(consumer, 1)
        assert (delivery.key, delivery.value) == (None, b"[]")
        assert dict(delivery.headers) == {
            "content-type": b"application/json",
            "type": b"paid",
            "message-id": b"7",
            "n": b"5",
        }


async def test_every_group_has_every_message_and_its_members_share(url: str) -> None:
    async with setting(url) as at:
        first, second = await at.consumer(), await at.consumer()
        subscription = Subscription(group="audit", topics=(at.topic,), max_in_flight=100)
        async with at.backend.consumer(subscription, at.revoke) as audit:
            producer = await at.producer()
            await producer.send(at.messages(200))
            assert values(await take(audit, 200)) == list(range(200))
            shared = await asyncio.gather(take_all(first, 0.5), take_all(second, 0.5))
            assert sorted(values(shared[0] + shared[1])) == list(range(200))


async def test_the_window_is_never_exceeded_and_acks_in_any_order_open_it(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(max_in_flight=10), await at.producer()
        await producer.send(at.messages(200))
        held = await take(consumer, 10, ack=False)
        got = values(held)
        while len(got) < 200:
            for delivery in held[1::2] + held[::2]:
                consumer.ack(delivery)
            held = list(await consumer.receive())
            while len(held) < min(10, 200 - len(got)):
                held += await consumer.receive()
            assert len(held) <= 10
            got += values(held)
        assert got == list(range(200))


async def test_a_full_window_stays_full(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(max_in_flight=7), await at.producer()
        await producer.send(at.messages(50))
        await take(consumer, 7, ack=False)
        assert await nothing_comes(consumer)


async def test_more_topics_than_window_still_keep_the_window(url: str) -> None:
    async with setting(url) as at:
        topics = [f"{at.topic}.{n}" for n in range(5)]
        consumer, producer = await at.consumer(*topics, max_in_flight=2), await at.producer()
        await producer.send([m for topic in topics for m in at.messages(4, topic)])
        await asyncio.sleep(0.3)
        left = 20
        async with asyncio.timeout(PATIENCE):
            while left:
                batch = await consumer.receive()
                assert len(batch) <= 2
                left -= len(batch)
                for delivery in batch:
                    consumer.ack(delivery)


async def test_behind_a_stuck_delivery_thousands_flow(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(max_in_flight=20), await at.producer()
        await producer.send(at.messages(3_000))
        (stuck, *others) = await take(consumer, 20, ack=False)
        for delivery in others:
            consumer.ack(delivery)
        began = time.monotonic()
        rest = await take(consumer, 2_980)
        assert values([stuck, *others, *rest]) == list(range(3_000))
        assert time.monotonic() - began < 10


async def test_queues_are_taken_from_in_turn(url: str) -> None:
    async with setting(url) as at:
        other = f"{at.topic}.other"
        consumer, producer = await at.consumer(at.topic, other), await at.producer()
        await producer.send(at.messages(1_000))
        await producer.send(at.messages(20, other))
        first = await take(consumer, 300)
        assert sum(delivery.topic == other for delivery in first) == 20


async def test_a_paused_queue_waits_and_loses_nothing(url: str) -> None:
    async with setting(url) as at:
        other = f"{at.topic}.other"
        consumer, producer = await at.consumer(at.topic, other), await at.producer()
        await producer.send(at.messages(1))
        (first,) = await take(consumer, 1)
        consumer.pause(first.lease)
        await producer.send(at.messages(20))
        await producer.send(at.messages(20, other))
        assert {d.topic for d in await take(consumer, 20)} == {other}
        consumer.resume(first.lease)
        assert values(await take(consumer, 20)) == list(range(20))


async def test_what_is_unsettled_when_the_context_is_left_comes_again(url: str) -> None:
    async with setting(url) as at:
        producer = await at.producer()
        async with AsyncExitStack() as stack:
            consumer = await at.consumer(stack=stack)
            await producer.send(at.messages(100))
            held = await take(consumer, 100, ack=False)
            for delivery in held[10:20]:
                consumer.ack(delivery)
        consumer.ack(held[0])
        expected = [*range(10), *range(20, 100)]
        assert values(await take(await at.consumer(), 90)) == expected
        assert at.revoked == []


@pytest.mark.parametrize("round_", range(8))
async def test_what_comes_again_comes_in_order(url: str, round_: int) -> None:
    async with setting(url) as at:
        producer = await at.producer()
        async with AsyncExitStack() as stack:
            consumer = await at.consumer(max_in_flight=10 + round_, stack=stack)
            await producer.send(at.messages(40))
            held = await take(consumer, 3, ack=False)
            consumer.stop_receiving()
            for delivery in held[: round_ % 3]:
                consumer.ack(delivery)
            await consumer.flush()
        settled = round_ % 3
        again = await take(await at.consumer(), 40 - settled)
        assert values(again) == list(range(settled, 40))


async def test_a_nack_brings_the_delivery_again(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send(at.messages(3))
        held = await take(consumer, 3, ack=False)
        for delivery in held:
            consumer.nack(delivery)
            consumer.ack(delivery)
        again = await take(consumer, 3)
        assert values(again) == [0, 1, 2]


async def test_flush_returns_when_the_broker_has_every_settlement(
    node: LocalRabbitMQ, url: str
) -> None:
    async with setting(url, "?queue_type=classic") as at:
        consumer, producer = await at.consumer(max_in_flight=1_000), await at.producer()
        await producer.send(at.messages(100))
        await take(consumer, 100)
        await consumer.flush()
        assert queue_length(node, url) == (0, 0)


async def test_stop_receiving_hands_out_nothing_more_and_settling_goes_on(url: str) -> None:
    async with setting(url) as at:
        producer = await at.producer()
        async with AsyncExitStack() as stack:
            consumer = await at.consumer(max_in_flight=10, stack=stack)
            await producer.send(at.messages(30))
            held = await take(consumer, 10, ack=False)
            consumer.stop_receiving()
            for delivery in held:
                consumer.ack(delivery)
            assert list(await consumer.receive()) == []
            await consumer.flush()
        assert values(await take(await at.consumer(), 20)) == list(range(10, 30))


async def test_connections_closed_by_the_broker_are_made_again(
    node: LocalRabbitMQ, url: str
) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send(at.messages(5))
        held = await take(consumer, 5, ack=False)
        assert await asyncio.to_thread(node.close_connections) == 2
        await producer.send(at.messages(5))
        got = await take(consumer, 10)
        assert sorted(values(got)) == sorted([*range(5), *range(5)])
        assert [lease for lease in at.revoked if lease is held[0].lease]
        assert got[0].lease is not held[0].lease
        consumer.ack(held[0])
        consumer.nack(held[1])
        await consumer.flush()


async def test_what_is_unconfirmed_when_the_connection_closes_is_sent_again_in_order(
    node: LocalRabbitMQ, url: str
) -> None:
    async with setting(url) as at:
        producer, consumer = await at.producer(), await at.consumer(max_in_flight=1_000)
        sending = asyncio.create_task(producer.send(at.messages(20_000)))
        seen = values(await take(consumer, 2_000))
        assert not sending.done()
        await asyncio.to_thread(node.close_connections)
        seen += values(await take_all(consumer, 2.0))
        await sending
        assert list(dict.fromkeys(seen)) == list(range(20_000))
        assert len(seen) - 20_000 <= 2_000 + 1_000  # both windows


async def test_a_lone_ack_reaches_the_broker_by_itself(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url, "?queue_type=classic") as at:
        consumer, producer = await at.consumer(max_in_flight=100), await at.producer()
        await producer.send(at.messages(1))
        await take(consumer, 1)
        await asyncio.sleep(0.5)
        assert queue_length(node, url) == (0, 0)


async def test_a_deleted_queue_is_made_again(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        before = await sent_and_taken(producer, consumer, at)
        # RabbitMQ 4 may tell the consumer before the queue is quite gone, about half of the times.
        for times in range(1, 9):
            await delete_queue(node, url)
            await until(lambda: len(at.revoked) == times)  # noqa: B023 - it is awaited here
            after = await sent_and_taken(producer, consumer, at)
            assert before.lease.ended
            assert after.lease is not before.lease
            before = after


async def test_a_deleted_queue_that_may_not_be_made_ends_the_consumer(
    node: LocalRabbitMQ, url: str
) -> None:
    async with setting(url) as at:
        await at.backend.prepare(Topology(topics=(at.topic,), group="billing"))
        at.backend = RabbitMQBackend.from_url(f"{url}?declare=check")
        consumer = await at.consumer()
        await delete_queue(node, url)
        with pytest.raises(TopologyError, match="missing"):
            await asyncio.wait_for(as_coroutine(consumer), PATIENCE)


async def test_a_channel_closed_by_the_broker_is_opened_again(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await producer.send(at.messages(2))
        held = await take(consumer, 2, ack=False)
        consumption = getattr(held[0].lease, "consumption", None)
        assert consumption is not None
        await consumption._channel.basic_ack(999)
        again = await take(consumer, 2)
        assert values(again) == [0, 1]
        assert at.revoked == [held[0].lease]


async def test_a_killed_broker_costs_nothing_but_time(node: LocalRabbitMQ, url: str) -> None:
    total, sent_once = 15_000, list[int]()
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        await asyncio.sleep(QUORUM_SETTLES)

        async def send() -> None:
            for start in range(0, total, 50):
                batch = [Message(at.topic, b"%d" % n, key=b"k") for n in range(start, start + 50)]
                await producer.send(batch)
                sent_once.extend(range(start, start + 50))

        async def kill() -> None:
            await until(lambda: len(sent_once) >= total // 3)
            await asyncio.to_thread(node.kill)
            await asyncio.to_thread(node.start)

        sending, killing = asyncio.create_task(send()), asyncio.create_task(kill())
        seen: list[int] = []
        while len(set(seen)) < total:
            for delivery in await consumer.receive():
                seen.append(int(delivery.value))
                consumer.ack(delivery)
        await asyncio.gather(sending, killing)
        fresh = list(dict.fromkeys(seen))
        assert fresh == list(range(total))
        assert len(seen) - total <= 150  # the consumer's window, and one batch of the producer's
        assert at.revoked


async def test_what_was_confirmed_survives_a_killed_broker(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url) as at:
        await at.backend.prepare(Topology(topics=(at.topic,), group="billing"))
        await asyncio.sleep(QUORUM_SETTLES)
        producer = await at.producer()
        await producer.send(at.messages(500))
        await asyncio.to_thread(node.kill)
        sending = asyncio.create_task(producer.send(at.messages(1)))
        await asyncio.to_thread(node.start)
        await sending
        assert values(await take(await at.consumer(), 501)) == [*range(500), 0]


async def test_batches_of_concurrent_senders_keep_the_order_of_each(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(max_in_flight=1_000), await at.producer()

        async def send(sender: int) -> None:
            for start in range(0, 300, 30):
                batch = [Message(at.topic, b"%d" % (sender * 1_000 + start + n)) for n in range(30)]
                await producer.send(batch)

        await asyncio.gather(*(send(sender) for sender in range(10)))
        got = values(await take(consumer, 3_000))
        for sender in range(10):
            own = [value for value in got if value // 1_000 == sender]
            assert own == list(range(sender * 1_000, sender * 1_000 + 300))


async def test_a_blocked_connection_is_a_send_timeout(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url, "?send_timeout=1") as at:
        consumer, producer = await at.consumer(), await at.producer()
        with node.memory_alarm():
            with pytest.raises(SendError) as caught:
                await producer.send(at.messages(3))
            assert sorted(caught.value.failures) == [0, 1, 2]
            for failure in caught.value.failures.values():
                assert isinstance(failure, SendTimeout)
                assert "memory" in str(failure)
        await sent_and_taken(producer, consumer, at)


async def test_an_unroutable_message_is_named_and_the_others_are_taken(url: str) -> None:
    async with setting(url, "?unroutable=error") as at:
        consumer, producer = await at.consumer(), await at.producer()
        silent = RabbitMQEventConfig(mandatory=False)
        batch = [
            Message(at.topic, b"0"),
            Message("nobody.listens", b"1"),
            Message("nobody.listens", b"2", config=silent),
            Message("elsewhere", b"3", config=RabbitMQEventConfig(routing_key=at.topic)),
            Message("nobody.listens", b"4"),
        ]
        with pytest.raises(SendError) as caught:
            await producer.send(batch)
        assert sorted(caught.value.failures) == [1, 4]
        assert all(isinstance(error, Unroutable) for error in caught.value.failures.values())
        assert "'dispytch'" in str(caught.value)
        assert "'nobody.listens'" in str(caught.value)
        assert values(await take(consumer, 2)) == [0, 3]


async def test_a_message_that_the_broker_refuses_fails_alone(url: str) -> None:
    async with setting(url) as at:
        consumer, producer = await at.consumer(), await at.producer()
        stranger = RabbitMQEventConfig(user_id="somebody-else")
        batch = at.messages(20)
        batch[7].config = batch[12].config = stranger
        batch[3].headers = [("big", bytes(200_000))]
        batch[4].headers = [("n" * 300, b"")]
        with pytest.raises(SendError) as caught:
            await producer.send(batch)
        assert sorted(caught.value.failures) == [3, 4, 7, 12]
        assert isinstance(caught.value.failures[3], MessageTooLarge)
        assert "somebody-else" in str(caught.value.failures[7])
        seen = dict.fromkeys(values(await take_all(consumer, 0.5)))
        assert list(seen) == [n for n in range(20) if n not in (3, 4, 7, 12)]


async def test_a_message_above_the_brokers_limit_is_too_large(strict_node: LocalRabbitMQ) -> None:
    async with setting(strict_node.make_vhost()) as at:
        consumer, producer = await at.consumer(), await at.producer()
        batch = [Message(at.topic, b"0"), Message(at.topic, bytes(100_001))]
        with pytest.raises(SendError) as caught:
            await producer.send([*batch, Message(at.topic, b"2")])
        assert list(caught.value.failures) == [1]
        assert isinstance(caught.value.failures[1], MessageTooLarge)
        assert set(values(await take_all(consumer, 0.5))) == {0, 2}


@pytest.fixture(scope="module")
def strict_node() -> Iterator[LocalRabbitMQ]:
    """A node that takes no large messages, which since 4.0 cannot be told while it runs."""
    node = LocalRabbitMQ(settings="max_message_size = 100000\n")
    node.start()
    yield node
    node.stop()


async def test_a_missing_exchange_is_made_again(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url, "?unroutable=error") as at:
        producer = await at.producer()
        vhost = urlsplit(url).path[1:]
        node.eval(
            f'rabbit_exchange:delete(rabbit_misc:r(<<"{vhost}">>, exchange, <<"dispytch">>), '
            'false, <<"test">>).'
        )
        with pytest.raises(SendError) as caught:
            await producer.send(at.messages(1))
        assert isinstance(caught.value.failures[0], Unroutable)


async def test_leaving_the_producer_waits_for_what_is_being_sent(url: str) -> None:
    async with setting(url) as at:
        consumer = await at.consumer()
        async with at.backend.producer() as producer:
            sending = asyncio.create_task(producer.send(at.messages(5_000)))
            await asyncio.sleep(0)
        await sending
        assert values(await take(consumer, 5_000)) == list(range(5_000))


async def test_what_is_missing_may_be_checked_or_left_alone(url: str) -> None:
    async with setting(url, "?declare=check") as at:
        topology = Topology(topics=(at.topic,), group="billing")
        with pytest.raises(TopologyError, match="exchange 'dispytch'"):
            await at.backend.prepare(topology)
        await RabbitMQBackend.from_url(url).prepare(Topology(topics=(at.topic,)))
        with pytest.raises(TopologyError, match=r"queue .* is missing.*declare='auto'"):
            await at.backend.prepare(topology)
        never = RabbitMQBackend.from_url(f"{url}?declare=never")
        await never.prepare(topology)
        at.backend = never
        with pytest.raises(TopologyError, match="missing"):
            await at.consumer()


async def test_a_queue_of_another_type_is_not_touched(url: str) -> None:
    async with setting(url, "?queue_type=classic") as at:
        topology = Topology(topics=(at.topic,), group="billing")
        await at.backend.prepare(topology)
        await at.backend.prepare(topology)
        with pytest.raises(TopologyError, match="exists with other properties"):
            await RabbitMQBackend.from_url(url).prepare(topology)


async def test_a_broker_that_is_not_there_is_named_in_time() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    backend = RabbitMQBackend.from_url(f"amqp://me:hush@127.0.0.1:{port}/?connect_timeout=0.5")
    began = time.monotonic()
    with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port}") as caught:
        await backend.ping()
    assert time.monotonic() - began < 2
    assert "hush" not in str(caught.value)


async def test_a_port_that_stays_silent_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        backend = RabbitMQBackend(
            port=silent.getsockname()[1], host="127.0.0.1", connect_timeout=0.3
        )
        with pytest.raises(BrokerUnreachable, match="did not answer"):
            async with backend.producer():
                pass


async def test_a_refused_login_says_so_at_once(url: str) -> None:
    for wrong, says in (
        (url.replace("guest:guest", "guest:hush"), "refused the login of user 'guest'"),
        (f"{url}-missing", "refused virtual host"),
    ):
        began = time.monotonic()
        with pytest.raises(BrokerUnreachable, match=says) as caught:
            await RabbitMQBackend.from_url(wrong).ping()
        assert "hush" not in str(caught.value)
        assert time.monotonic() - began < 5


async def test_a_send_while_the_broker_is_away_ends_in_time(node: LocalRabbitMQ, url: str) -> None:
    async with setting(url, "?send_timeout=1") as at:
        producer = await at.producer()
        await asyncio.to_thread(node.kill)
        try:
            with pytest.raises(SendError) as caught:
                await producer.send(at.messages(2))
            assert {type(error) for error in caught.value.failures.values()} <= {
                BrokerUnreachable,
                SendTimeout,
            }
            assert "cannot be reached" in str(caught.value)
            assert "memory" not in str(caught.value)
            with pytest.raises(SendError) as caught:
                await producer.send(at.messages(2))
            assert {type(e) for e in caught.value.failures.values()} == {BrokerUnreachable}
        finally:
            await asyncio.to_thread(node.start)


async def test_an_idle_consumer_costs_next_to_nothing(url: str) -> None:
    async with setting(url) as at:
        await at.consumer(*(f"{at.topic}.{n}" for n in range(10)))
        began = time.process_time()
        await asyncio.sleep(2)
        assert time.process_time() - began < 0.02


async def test_two_exchanges_share_no_queue_and_no_message(url: str) -> None:
    async with setting(url) as at, setting(url, "?exchange=events") as other:
        consumers = [await at.consumer("orders"), await other.consumer("orders")]
        for one, value in ((at, b"1"), (other, b"2")):
            await (await one.producer()).send([Message("orders", value)])
        taken = [await take(consumer, 1) for consumer in consumers]
        assert [[one.value for one in each] for each in taken] == [[b"1"], [b"2"]]
        assert taken[1][0].lease.stream == "orders:billing.#.at.events"
