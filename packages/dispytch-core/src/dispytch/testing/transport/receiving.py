"""What `Consumer` promises about handing out."""

import asyncio

from dispytch.messages import Message
from dispytch.testing.transport.reader import assert_exactly, assert_in_order, nothing
from dispytch.testing.transport.scene import Scene, numbered, some_keys, unique
from dispytch.transport import Backend


class ReceivingContract(Scene):
    """Windows, fairness, pauses and the end of receiving."""

    async def test_positions_grow_along_a_stream(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Delivery.position` grows along the stream, and one key has one stream."""
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, numbered(topic, [b"key"], 50))
            await self.received(reader, 50)
        positions = [delivery.position for delivery in reader.deliveries]
        assert positions == sorted(set(positions))
        assert len({delivery.lease for delivery in reader.deliveries}) == 1

    async def test_the_window_is_never_exceeded(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """At no time are more deliveries than ``max_in_flight`` handed out and unsettled."""
        messages = numbered(topic, some_keys(40), 5)
        await self.prepare(backend, group, topic)
        await self.send(backend, messages)
        async with self.reading(backend, group, topic, acks=nothing, max_in_flight=8) as reader:
            for count in range(1, len(messages) + 1):
                await self.received(reader, count)
                if count % 50 == 1:
                    await asyncio.sleep(self.quiet)
                reader.ack(reader.unsettled[-1])
            received = reader.values
        assert reader.peak <= 8
        assert_exactly(received, [message.value for message in messages])

    async def test_a_stream_that_stands_still_leaves_room_for_others(
        self, backend: Backend, group: str
    ) -> None:
        """Every stream has an even share of the window, and none waits while another is drained."""
        slow, fast = unique("topic"), unique("topic")
        await self.prepare(backend, group, slow, fast)
        await self.send(backend, numbered(slow, [b"key"], 200))
        await self.send(backend, numbered(fast, [b"key"], 50))
        async with self.reading(
            backend, group, slow, fast, acks=lambda d: d.topic == fast, max_in_flight=20
        ) as reader:
            await self.until(
                lambda: sum(d.topic == fast for d in reader.deliveries) >= 50,
                "the messages of the topic beside the one that stands still",
            )
        assert reader.peak <= 20

    async def test_a_paused_stream_loses_nothing(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.pause` hands out nothing until `resume`; what was held back comes first."""
        messages = numbered(topic, [b"key"], 30)
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, messages[:10])
            await self.received(reader, 10)
            lease = reader.deliveries[0].lease
            reader.consumer.pause(lease)
            await self.send(backend, messages[10:])
            await asyncio.sleep(self.quiet)
            assert len(reader.deliveries) == 10, "a paused stream was handed out"
            reader.consumer.resume(lease)
            received = await self.all_of(backend, topic, [b"key"], reader)
            assert not lease.ended
        assert_exactly(received, [message.value for message in messages])
        assert_in_order(reader.deliveries)

    async def test_a_paused_stream_does_not_hold_up_others(
        self, backend: Backend, group: str
    ) -> None:
        """`Consumer.pause` is about one stream; acks of what it has handed out count."""
        paused, other = unique("topic"), unique("topic")
        async with self.reading(backend, group, paused, other, acks=nothing) as reader:
            await self.send(backend, [Message(paused, b"0", b"key")])
            await self.received(reader, 1)
            reader.consumer.pause(reader.deliveries[0].lease)
            reader.ack(reader.deliveries[0])
            await self.send(backend, [Message(paused, b"1", b"key")])
            await self.send(backend, [Message(other, b"2", b"key")])
            await self.received(reader, 2)
            assert reader.values == [b"0", b"2"]
            reader.consumer.resume(reader.deliveries[0].lease)
            await self.received(reader, 3)
            assert reader.values == [b"0", b"2", b"1"]

    async def test_stopping_ends_a_receive_that_waits(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """After `Consumer.stop_receiving`, `receive` returns an empty batch at once."""
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, [Message(topic, b"0", b"key")])
            await self.received(reader, 1)
            async with asyncio.timeout(self.patience):
                await reader.stop()
                assert not await reader.consumer.receive()

    async def test_what_was_never_handed_out_stays_with_the_broker(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.stop_receiving`: settling goes on; the rest is for the next consumer."""
        messages = numbered(topic, some_keys(10), 10)
        await self.prepare(backend, group, topic)
        await self.send(backend, messages)
        async with self.reading(backend, group, topic, acks=nothing, max_in_flight=30) as first:
            await self.received(first, 1)
            await first.stop()
            for delivery in first.unsettled:
                first.ack(delivery)
        async with self.reading(backend, group, topic) as second:
            rest = await self.all_of(backend, topic, some_keys(10), second)
        assert len(first.values) <= 30
        assert_exactly([*first.values, *rest], [message.value for message in messages])
