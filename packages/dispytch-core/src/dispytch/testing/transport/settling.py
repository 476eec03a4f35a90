"""What `Consumer` promises about settling."""

from dispytch.testing.transport.reader import assert_exactly, assert_in_order, nothing
from dispytch.testing.transport.scene import Scene, numbered, some_keys
from dispytch.transport import Backend


class SettlingContract(Scene):
    """What is acked does not come again; what is not, does."""

    async def test_what_is_acked_does_not_come_again(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.ack`: the broker need not hand it out again; `flush` makes sure of it."""
        async with self.reading(backend, group, topic) as first:
            await self.send(backend, numbered(topic, some_keys(20), 10))
            await self.received(first, 200)
        async with self.reading(backend, group, topic) as second:
            again = await self.all_of(backend, topic, some_keys(20), second)
        assert_exactly(again, [])

    async def test_acks_count_in_any_order(self, backend: Backend, topic: str, group: str) -> None:
        """`Consumer.ack` may be called in any order."""
        async with self.reading(backend, group, topic, acks=nothing) as first:
            await self.send(backend, numbered(topic, some_keys(3), 30))
            await self.received(first, 90)
            for delivery in [*first.deliveries[::-2], *first.deliveries[::2]]:
                first.ack(delivery)
        async with self.reading(backend, group, topic) as second:
            again = await self.all_of(backend, topic, some_keys(3), second)
        assert_exactly(again, [])

    async def test_flush_makes_acks_count_before_the_consumer_ends(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.flush` returns once every ack so far has reached the broker."""
        async with self.reading(backend, group, topic, acks=nothing) as first:
            await self.send(backend, numbered(topic, [b"key"], 10))
            await self.received(first, 10)
            for delivery in first.deliveries:
                first.ack(delivery)
            await first.consumer.flush()
            await first.consumer.flush()
        async with self.reading(backend, group, topic) as second:
            again = await self.all_of(backend, topic, [b"key"], second)
        assert_exactly(again, [])

    async def test_what_is_unsettled_comes_again(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Deliveries that are unsettled when the context is left come again, in order."""
        messages = numbered(topic, [b"key"], 10)
        async with self.reading(backend, group, topic, acks=nothing) as first:
            await self.send(backend, messages)
            await self.received(first, 10)
            for delivery in first.deliveries[:4]:
                first.ack(delivery)
        async with self.reading(backend, group, topic) as second:
            again = await self.all_of(backend, topic, [b"key"], second)
        assert_exactly(again, [message.value for message in messages[4:]])
        assert_in_order(second.deliveries)

    async def test_an_unsettled_one_is_not_covered_by_a_later_ack(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """An ack speaks for its own delivery only; the later ones may come again, too."""
        messages = numbered(topic, [b"key"], 10)
        async with self.reading(backend, group, topic, acks=nothing) as first:
            await self.send(backend, messages)
            await self.received(first, 10)
            for delivery in first.deliveries[1:]:
                first.ack(delivery)
        async with self.reading(backend, group, topic) as second:
            again = await self.all_of(backend, topic, [b"key"], second)
        assert again[:1] == [messages[0].value]
        assert set(again) <= {message.value for message in messages}

    async def test_what_is_given_back_comes_again(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.nack`: it is handed out again to this group, in order, and can be acked."""
        messages = numbered(topic, [b"key"], 10)
        values = [message.value for message in messages]
        async with self.reading(backend, group, topic, acks=nothing) as first:
            await self.send(backend, messages)
            await self.received(first, 10)
            for delivery in first.deliveries[:6]:
                first.ack(delivery)
            for delivery in first.deliveries[6:10]:
                first.nack(delivery)
            await self.received(first, 14)
            assert first.values == [*values, *values[6:]]
            for delivery in first.deliveries[10:]:
                first.ack(delivery)
        async with self.reading(backend, group, topic) as second:
            again = await self.all_of(backend, topic, [b"key"], second)
        assert_exactly(again, [])

    async def test_giving_back_makes_room_in_the_window(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """A delivery that was given back is in flight no longer."""
        await self.prepare(backend, group, topic)
        await self.send(backend, numbered(topic, [b"key"], 3))
        async with self.reading(backend, group, topic, acks=nothing, max_in_flight=1) as reader:
            await self.received(reader, 1)
            reader.nack(reader.deliveries[0])
            await self.received(reader, 2)
            for count in range(2, 5):
                await self.received(reader, count)
                reader.ack(reader.deliveries[count - 1])
        assert reader.peak == 1
        assert_exactly(reader.values[1:], [m.value for m in numbered(topic, [b"key"], 3)])
