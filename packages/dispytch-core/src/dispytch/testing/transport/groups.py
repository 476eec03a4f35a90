"""What the contract promises about groups and leases."""

import asyncio
from collections.abc import Collection

import pytest

from dispytch.messages import Delivery, Lease, Message
from dispytch.testing.transport.reader import (
    Reader,
    assert_exactly,
    assert_in_order,
    nothing,
)
from dispytch.testing.transport.scene import END, Scene, numbered, some_keys, unique
from dispytch.transport import Backend


class GroupContract(Scene):
    """Who gets what, and how a stream changes hands."""

    async def test_every_group_gets_everything(self, backend: Backend, topic: str) -> None:
        """Groups do not share messages."""
        messages = numbered(topic, some_keys(10), 10)
        async with (
            self.reading(backend, unique("group"), topic) as one,
            self.reading(backend, unique("group"), topic) as other,
        ):
            await self.send(backend, messages)
            for reader in (one, other):
                received = await self.all_of(backend, topic, some_keys(10), reader)
                assert_exactly(received, [message.value for message in messages])

    async def test_consumers_of_a_group_share(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """The members of a group share its messages, without loss and without doubles."""
        messages = numbered(topic, some_keys(40), 25)
        async with (
            self.reading(backend, group, topic) as one,
            self.reading(backend, group, topic) as other,
        ):
            await self.send(backend, messages)
            received = await self.all_of(backend, topic, some_keys(40), one, other)
        assert_exactly(received, [message.value for message in messages])
        if backend.features.shared_order:
            assert_in_order(one.deliveries)
            assert_in_order(other.deliveries)

    async def test_a_new_group_starts_at_the_oldest_message(
        self, backend: Backend, topic: str
    ) -> None:
        """``history``, ``start_at="earliest"``: it gets what was sent before it existed."""
        if not backend.features.history:
            pytest.skip("the broker keeps no history")
        messages = numbered(topic, some_keys(5), 10)
        await self.prepare(backend, unique("group"), topic)
        await self.send(backend, messages)
        async with self.reading(backend, unique("group"), topic) as late:
            received = await self.all_of(backend, topic, some_keys(5), late)
        assert_exactly(received, [message.value for message in messages])
        assert_in_order(late.deliveries)

    async def test_a_new_group_can_start_after_the_newest(
        self, backend: Backend, topic: str
    ) -> None:
        """``start_at="latest"``: it gets nothing that was sent before it existed."""
        await self.prepare(backend, unique("group"), topic)
        await self.send(backend, numbered(topic, [b"key"], 20))
        async with self.reading(backend, unique("group"), topic, start_at="latest") as late:
            # A broker may need a moment until it knows where the group starts.
            async with asyncio.timeout(self.patience):
                while not late.deliveries:
                    await self.send(backend, [Message(topic, b"new", b"key")])
                    await asyncio.sleep(self.quiet)
        assert set(late.values) == {b"new"}

    async def test_a_group_goes_on_where_it_was(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """``start_at`` is for a new group; an old one misses nothing."""
        messages = numbered(topic, some_keys(5), 10)
        keys = some_keys(5)
        async with self.reading(backend, group, topic, start_at="earliest") as first:
            await self.send(backend, messages[:25])
            await self.all_of(backend, topic, keys, first)
        await self.send(backend, messages[25:])
        async with self.reading(backend, group, topic, start_at="latest") as second:
            received = await self.all_of(backend, topic, keys, second)
        assert_exactly(received, [message.value for message in messages[25:]])

    async def test_consumers_can_leave_at_once(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Members leave beside each other, and beside one that joins; nothing is lost."""
        messages = numbered(topic, some_keys(12), 10)
        readers: list[Reader] = []
        leave = asyncio.Event()

        async def member() -> None:
            async with self.reading(backend, group, topic, acks=early) as reader:
                readers.append(reader)
                await leave.wait()

        def early(delivery: Delivery) -> bool:
            return (delivery.value or b"") < b"000005"

        members = [asyncio.create_task(member()) for _ in range(3)]
        await self.until(lambda: len(readers) == 3, "three members")
        await self.send(backend, messages)
        await self.until(lambda: any(reader.deliveries for reader in readers), "a delivery")
        leave.set()
        async with self.reading(backend, group, topic) as last:
            await asyncio.gather(*members)
            rest = await self.all_of(backend, topic, some_keys(12), last)
        acked = [d.value for reader in readers for d in reader.deliveries if early(d)]
        assert_exactly({*acked, *rest}, [message.value for message in messages])

    async def test_a_consumer_that_ends_is_not_asked_to_drain(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`OnRevoke` is not called for the consumer's own end, and acks after that are void."""
        asked: list[Collection[Lease]] = []

        async def on_revoke(leases: Collection[Lease]) -> None:
            asked.append(leases)

        messages = numbered(topic, some_keys(10), 1)
        async with self.reading(backend, group, topic, acks=nothing, on_revoke=on_revoke) as reader:
            await self.send(backend, messages)
            await self.received(reader, 10)
            asked.clear()
        assert asked == []
        for delivery in reader.deliveries:
            reader.consumer.ack(delivery)
        async with self.reading(backend, group, topic) as second:
            again = await self.all_of(backend, topic, some_keys(10), second)
        assert_exactly(again, [message.value for message in messages])

    async def test_a_stream_is_drained_before_it_changes_hands(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Acks inside `OnRevoke` count, nothing more is handed out, and later acks are void."""
        if not backend.features.shared_order:
            pytest.skip("no stream changes hands while consumers share a group")
        keys = some_keys(40)
        messages = numbered(topic, keys, 5)
        first: Reader
        revoked: list[Lease] = []
        ended_too_early: list[Lease] = []
        handed_out_too_late: list[Delivery] = []

        async def on_revoke(leases: Collection[Lease]) -> None:
            held = [delivery for delivery in first.deliveries if delivery.lease in leases]
            await self.send(backend, [Message(topic, b"000005 %s" % key, key) for key in keys])
            await asyncio.sleep(self.quiet)
            now = [delivery for delivery in first.deliveries if delivery.lease in leases]
            handed_out_too_late.extend(now[len(held) :])
            ended_too_early.extend(lease for lease in leases if lease.ended)
            for delivery in held:
                if (delivery.value or b"") < b"000004":
                    first.ack(delivery)
            revoked.extend(leases)

        async with self.reading(backend, group, topic, acks=nothing, on_revoke=on_revoke) as first:
            await self.send(backend, messages)
            await self.received(first, len(messages))
            async with self.reading(backend, group, topic) as second:
                await self.until(
                    lambda: any(revoked) and all(lease.ended for lease in revoked),
                    "the end of the revoked leases",
                )
                late = [d for d in first.unsettled if d.lease in revoked]
                for delivery in late:
                    first.consumer.ack(delivery)
                await first.consumer.flush()
                received = await self.all_of(backend, topic, keys, first, second)
        assert not ended_too_early
        assert not handed_out_too_late
        fresh = [b"000005 %s" % key for key in keys]
        again = [delivery.value for delivery in late]
        assert_exactly(received, [*(m.value for m in messages), *fresh, *again])

    async def test_a_late_ack_does_not_count_for_the_next_lease(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Once a lease has ended, settling one of its deliveries has no effect at the broker."""
        if not backend.features.shared_order:
            pytest.skip("no stream changes hands while consumers share a group")
        keys = some_keys(40)
        messages = numbered(topic, keys, 3)
        async with self.reading(backend, group, topic, acks=nothing) as first:
            await self.send(backend, messages)
            await self.received(first, len(messages))
            async with self.reading(backend, group, topic, acks=nothing) as second:
                await self.until(lambda: any(second.deliveries), "a share for the second member")
                await self.all_of(backend, topic, keys, first, second)
                late = [delivery for delivery in first.unsettled if delivery.lease.ended]
                for settle in (first.consumer.ack, first.consumer.nack, second.consumer.ack):
                    for delivery in late:
                        settle(delivery)
                await first.consumer.flush()
                await second.consumer.flush()
        assert late
        async with self.reading(backend, group, topic) as third:
            await self.received(third, len(messages) + len(keys))
            again = [value for value in third.values if value != END]
        assert_exactly(again, [message.value for message in messages])

    async def test_the_order_holds_while_consumers_come_and_go(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """``shared_order``: one key is with one member at a time, in order, each message once."""
        if not backend.features.shared_order:
            pytest.skip("consumers that share a group keep no order between them")
        keys = some_keys(20)
        messages = numbered(topic, keys, 60)
        handled: list[Delivery] = []

        def handle(delivery: Delivery) -> bool:
            handled.append(delivery)
            return True

        async with self.reading(backend, group, topic, acks=handle):
            await self.send(backend, messages[:400])
            async with self.reading(backend, group, topic, acks=handle) as second:
                await self.send(backend, messages[400:800])
                await self.until(lambda: any(second.deliveries), "a share for the second member")
            await self.send(backend, messages[800:])
            await self.until(lambda: len(handled) >= len(messages), "every message")
            await self.send(backend, [Message(topic, END, key) for key in keys])
            await self.until(lambda: len(handled) >= len(messages) + len(keys), "every end")
        expected = [*(message.value for message in messages), *[END] * len(keys)]
        assert_exactly([delivery.value for delivery in handled], expected)
        assert_in_order(handled)
