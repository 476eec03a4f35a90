"""What a `Subscription` that is bounded promises."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

import pytest

from dispytch.exceptions import GroupTaken
from dispytch.messages import Delivery, Lease, Message
from dispytch.testing.transport.reader import assert_exactly, assert_in_order
from dispytch.testing.transport.scene import Scene, numbered, some_keys
from dispytch.transport import Backend, Consumer, Subscription


class BoundedContract(Scene):
    """A consumer that has its group alone and ends with what there is: what ``bounded`` means."""

    async def test_a_bounded_consumer_hands_out_all_there_is_and_ends(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """As often as it is asked, right after the one before, which has settled nothing."""
        _needs_bounded(backend)
        await self.prepare(backend, group, topic)
        messages = numbered(topic, some_keys(5), 400)
        await self.send(backend, messages)
        for _ in range(3):
            async with self.alone(backend, group, topic, window=len(messages)) as consumer:
                received = await self.to_the_end(consumer)
            assert_exactly([one.value for one in received], [one.value for one in messages])
            assert_in_order(received)

    async def test_a_bounded_consumer_of_nothing_ends_at_once(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """There is nothing to wait for."""
        _needs_bounded(backend)
        await self.prepare(backend, group, topic)
        async with self.alone(backend, group, topic) as consumer:
            assert await self.to_the_end(consumer) == []

    async def test_what_a_bounded_consumer_settles_is_done(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Its window is smaller than what there is, and what is sent meanwhile comes later."""
        _needs_bounded(backend)
        await self.prepare(backend, group, topic)
        messages = numbered(topic, some_keys(3), 50)
        await self.send(backend, messages)
        seen: list[bytes | None] = []
        async with self.alone(backend, group, topic, window=10) as consumer:
            await self.send(backend, [Message(topic, b"later", b"key-0")])
            async with asyncio.timeout(self.patience):
                while batch := await consumer.receive():
                    for delivery in batch:
                        seen.append(delivery.value)
                        consumer.ack(delivery)
            await consumer.flush()
        assert [value for value in seen if value != b"later"].count(None) == 0
        assert set(seen) >= {one.value for one in messages}
        assert len(seen) == len(set(seen))
        async with self.alone(backend, group, topic) as consumer:
            seen += [one.value for one in await self.to_the_end(consumer)]
        assert_exactly(seen, [*(one.value for one in messages), b"later"])

    async def test_a_bounded_consumer_is_refused_while_there_is_another(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """It is told so, and the first one goes on undisturbed."""
        _needs_bounded(backend)
        await self.prepare(backend, group, topic)
        messages = numbered(topic, some_keys(2), 20)
        await self.send(backend, messages)
        async with self.alone(backend, group, topic) as consumer:
            for _ in range(2):
                with pytest.raises(GroupTaken):
                    async with self.alone(backend, group, topic):
                        pass
            received = await self.to_the_end(consumer)
        assert_exactly([one.value for one in received], [one.value for one in messages])
        async with self.alone(backend, group, topic) as consumer:
            assert len(await self.to_the_end(consumer)) == len(messages)

    async def to_the_end(self, consumer: Consumer) -> list[Delivery]:
        """All that it hands out."""
        received: list[Delivery] = []
        async with asyncio.timeout(self.patience):
            while batch := await consumer.receive():
                received += batch
        return received

    @asynccontextmanager
    async def alone(
        self, backend: Backend, group: str, topic: str, window: int = 1000
    ) -> AsyncGenerator[Consumer, None]:
        """A bounded consumer of a topic."""
        subscription = Subscription(
            group=group, topics=(topic,), max_in_flight=window, bounded=True
        )
        async with backend.consumer(subscription, _nothing_to_drain) as consumer:
            yield consumer
            consumer.stop_receiving()


async def _nothing_to_drain(leases: Collection[Lease]) -> None:
    """Nothing runs."""


def _needs_bounded(backend: Backend) -> None:
    if not backend.features.bounded:
        pytest.skip("the backend has no bounded subscriptions")
