"""What `Consumer` promises about what it holds and what still waits for it."""

import asyncio
from collections.abc import Callable, Collection

import pytest

from dispytch.messages import Lease, Message
from dispytch.testing.transport.reader import Reader, nothing
from dispytch.testing.transport.scene import Scene, numbered, some_keys
from dispytch.transport import Backend


class HoldingContract(Scene):
    """`Consumer.leases` and `Consumer.lag`, as a health check reads them."""

    async def test_leases_are_what_the_consumer_holds(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.leases`: each delivery's lease is among them, none has ended."""
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, numbered(topic, some_keys(40), 3))
            await self.received(reader, 120)
            held = list(reader.consumer.leases)
            assert not any(lease.ended for lease in held)
            assert {id(one.lease) for one in reader.deliveries} <= {id(lease) for lease in held}
            assert len(_streams(held)) == len(held), "two leases on one stream"
            assert {lease.topic for lease in held} == {topic}

    async def test_leases_are_none_once_the_consumer_has_left(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.leases`: empty when it is not connected; what there was has ended."""
        async with self.reading(backend, group, topic) as reader:
            await self.until(lambda: bool(reader.consumer.leases), "a lease")
            before = list(reader.consumer.leases)
        assert not reader.consumer.leases
        assert all(lease.ended for lease in before)

    async def test_leases_follow_the_streams_that_change_hands(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """``shared_order``: two members hold all streams, and none of them both."""
        if not backend.features.shared_order:
            pytest.skip("no stream changes hands while consumers share a group")
        async with self.reading(backend, group, topic) as first:
            await self.until(lambda: bool(first.consumer.leases), "a lease")
            alone = _streams(first.consumer.leases)
            async with self.reading(backend, group, topic) as second:
                await self.until(lambda: _shared(alone, first, second), "a share for each")
            await self.until(lambda: _streams(first.consumer.leases) == alone, "all of it again")
            assert not any(lease.ended for lease in first.consumer.leases)

    async def test_lag_counts_what_is_not_handed_out(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.lag`: what waits counts, wherever it is buffered; what is unsettled doesn't."""
        await self.prepare(backend, group, topic)
        await self.send(backend, numbered(topic, some_keys(8), 25))
        async with self.reading(backend, group, topic, acks=nothing, max_in_flight=20) as reader:
            await self.received(reader, 1)
            await self._until_lag(reader, lambda lag: lag == 200 - len(reader.deliveries))
            assert set(await reader.consumer.lag()) <= _streams(reader.consumer.leases)
            for delivery in reader.unsettled:
                reader.ack(delivery)
            await self.until(lambda: bool(reader.unsettled), "more deliveries")
            await self._until_lag(reader, lambda lag: lag == 200 - len(reader.deliveries))

    async def test_lag_is_zero_when_all_is_handed_out(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.lag`: what was handed out and is not settled doesn't count."""
        async with self.reading(backend, group, topic, acks=nothing) as reader:
            await self._until_lag(reader, lambda lag: lag == 0)
            await self.send(backend, numbered(topic, some_keys(8), 10))
            await self.received(reader, 80)
            await self._until_lag(reader, lambda lag: lag == 0)

    async def test_lag_counts_what_waits_in_a_stream_that_is_paused(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.lag`: a stream that is paused falls behind, and catches up when resumed."""
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, numbered(topic, some_keys(8), 1))
            await self.received(reader, 8)
            for lease in reader.consumer.leases:
                reader.consumer.pause(lease)
            await self.send(backend, [Message(topic, b"later", key) for key in some_keys(8)])
            await self._until_lag(reader, lambda lag: lag == 8)
            assert len(reader.deliveries) == 8
            for lease in reader.consumer.leases:
                reader.consumer.resume(lease)
            await self.received(reader, 16)
            await self._until_lag(reader, lambda lag: lag == 0)

    async def _until_lag(self, reader: Reader, holds: Callable[[int], bool]) -> None:
        """Wait until the lag of all streams together is as it should be."""
        now = asyncio.get_running_loop().time
        deadline = now() + self.patience
        lag = await reader.consumer.lag()
        while not holds(sum(lag.values())):
            assert now() < deadline, f"{dict(lag)}, with {len(reader.deliveries)} handed out"
            await asyncio.sleep(0.02)
            lag = await reader.consumer.lag()


def _streams(leases: Collection[Lease]) -> set[str]:
    return {lease.stream for lease in leases}


def _shared(streams: set[str], first: Reader, second: Reader) -> bool:
    one, other = _streams(first.consumer.leases), _streams(second.consumer.leases)
    return bool(one and other) and not one & other and one | other == streams
