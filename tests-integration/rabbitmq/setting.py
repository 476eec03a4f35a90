"""One topic and one group on a broker, and the few moves that the tests are made of."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from brokers.local_rabbitmq import LocalRabbitMQ

from dispytch.exceptions import SendError
from dispytch.messages import Delivery, Lease, Message
from dispytch.rabbitmq import RabbitMQBackend
from dispytch.transport import Consumer, Producer, Subscription, Topology

PATIENCE = 30.0
QUORUM_SETTLES = 6.0
"""Seconds that a quorum queue must have stood before its node may be killed."""


class Setting:
    """One topic, one group, and what the test opens of them."""

    def __init__(self, url: str, stack: AsyncExitStack, options: str = "") -> None:
        self.backend = RabbitMQBackend.from_url(url + options)
        self.topic = f"orders.{uuid.uuid4().hex[:8]}"
        self.revoked: list[Lease] = []
        self._stack = stack

    async def producer(self) -> Producer:
        return await self._stack.enter_async_context(self.backend.producer())

    async def consumer(
        self, *topics: str, max_in_flight: int = 100, stack: AsyncExitStack | None = None
    ) -> Consumer:
        subscription = Subscription(
            group="billing", topics=topics or (self.topic,), max_in_flight=max_in_flight
        )
        await self.backend.prepare(Topology(topics=subscription.topics, group="billing"))
        opening = self.backend.consumer(subscription, self.revoke)
        return await (stack or self._stack).enter_async_context(opening)

    def messages(self, count: int, topic: str | None = None) -> list[Message]:
        return [Message(topic or self.topic, b"%d" % index) for index in range(count)]

    async def revoke(self, leases: Collection[Lease]) -> None:
        if not self.backend.features.shared_order:
            assert all(lease.ended for lease in leases)
        self.revoked.extend(leases)


@asynccontextmanager
async def setting(url: str, options: str = "") -> AsyncGenerator[Setting]:
    async with asyncio.timeout(3 * PATIENCE), AsyncExitStack() as stack:
        yield Setting(url, stack, options)


async def take(consumer: Consumer, count: int, *, ack: bool = True) -> list[Delivery]:
    """The next `count` deliveries."""
    got: list[Delivery] = []
    async with asyncio.timeout(PATIENCE):
        while len(got) < count:
            for delivery in await consumer.receive():
                got.append(delivery)
                if ack:
                    consumer.ack(delivery)
    return got


async def nothing_comes(consumer: Consumer, seconds: float = 0.4) -> bool:
    """Whether nothing is handed out for a while; ends the consumer's intake."""
    receiving = asyncio.create_task(as_coroutine(consumer))
    await asyncio.sleep(seconds)
    idle = not receiving.done()
    consumer.stop_receiving()
    return not await receiving if idle else False


async def as_coroutine(consumer: Consumer) -> Sequence[Delivery]:
    return await consumer.receive()


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def values(deliveries: Sequence[Delivery]) -> list[int]:
    return [int(delivery.value) for delivery in deliveries]


def queue_length(broker: LocalRabbitMQ, url: str) -> tuple[int, int]:
    """Ready and unacknowledged messages of all queues of a virtual host."""
    vhost = urlsplit(url).path[1:]
    answer = broker.eval(
        "lists:foldl(fun(Q, {A, B}) -> "
        "I = rabbit_amqqueue:info(Q, [messages_ready, messages_unacknowledged]), "
        "{A + proplists:get_value(messages_ready, I), "
        "B + proplists:get_value(messages_unacknowledged, I)} end, {0, 0}, "
        f'rabbit_amqqueue:list(<<"{vhost}">>)).'
    )
    ready, unacknowledged = answer.strip("{}").split(",")
    return int(ready), int(unacknowledged)


async def take_all(consumer: Consumer, quiet: float) -> list[Delivery]:
    """What comes until nothing has come for a while; ends the consumer's intake."""
    got: list[Delivery] = []
    loop = asyncio.get_running_loop()
    stopping = loop.call_later(quiet, consumer.stop_receiving)
    while batch := await consumer.receive():
        stopping.cancel()
        stopping = loop.call_later(quiet, consumer.stop_receiving)
        for delivery in batch:
            got.append(delivery)
            consumer.ack(delivery)
    return got


async def delete_queue(broker: LocalRabbitMQ, url: str) -> None:
    vhost = urlsplit(url).path[1:]
    await asyncio.to_thread(
        broker.eval,
        f'[rabbit_amqqueue:delete(Q, false, false, <<"test">>) '
        f'|| Q <- rabbit_amqqueue:list(<<"{vhost}">>)].',
    )


async def sent_and_taken(producer: Producer, consumer: Consumer, at: Setting) -> Delivery:
    """One more message, sent as soon as a queue takes it, and received."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await producer.send(at.messages(1))
            except SendError:
                await asyncio.sleep(0.05)
            else:
                return (await take(consumer, 1))[0]
