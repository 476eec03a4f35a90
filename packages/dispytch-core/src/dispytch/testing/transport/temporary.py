"""What a `Subscription` that is temporary promises."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from dispytch.messages import Message
from dispytch.testing.transport.reader import Reader, assert_exactly, assert_in_order, reading
from dispytch.testing.transport.scene import Scene, numbered, some_keys
from dispytch.transport import Backend, Subscription, Topology


class TemporaryContract(Scene):
    """A consumer that shares with nobody and leaves nothing: what ``temporary`` means."""

    async def test_a_temporary_consumer_gets_what_is_sent_once_it_is_there(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """From the moment at which it was acquired, without a miss; and nothing from before."""
        _needs_temporary(backend)
        await self.prepare(backend, group, topic)
        await self.send(backend, numbered(topic, [b"before"], 20))
        messages = numbered(topic, some_keys(10), 20)
        async with self.watching(backend, group, topic) as reader:
            await self.send(backend, messages)
            received = await self.all_of(backend, topic, some_keys(10), reader)
        assert_exactly(received, [message.value for message in messages])
        assert_in_order(reader.deliveries)

    async def test_temporary_consumers_share_with_nobody(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Each of them gets all, whatever their group is called, and so do the groups."""
        _needs_temporary(backend)
        messages = numbered(topic, some_keys(5), 10)
        keys = some_keys(5)
        async with (
            self.reading(backend, group, topic) as member,
            self.watching(backend, group, topic) as one,
            self.watching(backend, group, topic) as other,
        ):
            await self.send(backend, messages)
            await self.send(backend, [Message(topic, b"~", key) for key in keys])
            for reader in (member, one, other):
                await self.received(reader, len(messages) + len(keys))
        for reader in (member, one, other):
            values = [value for value in reader.values if value != b"~"]
            assert_exactly(values, [message.value for message in messages])

    async def test_a_temporary_consumer_takes_in_more_than_its_window(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Its acks make room, and its window holds."""
        _needs_temporary(backend)
        messages = numbered(topic, some_keys(4), 100)
        async with self.watching(backend, group, topic, max_in_flight=10) as reader:
            await self.send(backend, messages)
            await self.all_of(backend, topic, some_keys(4), reader)
        assert_exactly(reader.values, [*(m.value for m in messages), *[b"~"] * 4])
        assert reader.peak <= 10

    async def test_a_temporary_consumer_leaves_no_place_behind(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """The next one of that name starts after what has come before it."""
        _needs_temporary(backend)
        await self.prepare(backend, group, topic)
        async with self.watching(backend, group, topic) as first:
            await self.send(backend, [Message(topic, b"first", b"key")])
            await self.received(first, 1)
        await self.send(backend, [Message(topic, b"between", b"key")])
        async with self.watching(backend, group, topic) as second:
            await self.send(backend, [Message(topic, b"second", b"key")])
            await self.received(second, 1)
        assert second.values == [b"second"]

    @asynccontextmanager
    async def watching(
        self, backend: Backend, group: str, *topics: str, max_in_flight: int = 1000
    ) -> AsyncGenerator[Reader, None]:
        """A reader of these topics that shares with nobody."""
        await backend.prepare(Topology(topics=topics))
        subscription = Subscription(
            group=group, topics=topics, max_in_flight=max_in_flight, temporary=True
        )
        async with reading(backend, subscription, patience=self.patience) as reader:
            yield reader


def _needs_temporary(backend: Backend) -> None:
    if not backend.features.temporary:
        pytest.skip("the backend has no temporary subscriptions")
