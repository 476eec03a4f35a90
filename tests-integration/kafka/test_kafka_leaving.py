"""Leaving a group while it is being joined: at once, and nobody waits for the one who left."""

import asyncio
import time
import uuid
from collections.abc import Collection

from brokers.broker import Broker

from dispytch.kafka import KafkaBackend
from dispytch.messages import Lease
from dispytch.testing.transport.reader import eventually
from dispytch.transport import Subscription

SOON = 5.0
SESSION = 45
DRAIN = 40.0


async def test_a_member_that_is_joining_leaves_at_once(kafka: Broker) -> None:
    topic, group = f"orders-{uuid.uuid4().hex[:12]}", f"billing-{uuid.uuid4().hex[:12]}"
    backend = KafkaBackend(
        kafka.url.removeprefix("kafka://"), partitions=2, session_timeout=SESSION
    )
    asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def drains_slowly(leases: Collection[Lease]) -> None:
        asked.set()
        await may_go_on.wait()

    async def nothing(leases: Collection[Lease]) -> None: ...

    async def join() -> None:
        async with backend.consumer(wanted, nothing):
            await asyncio.Event().wait()

    wanted = Subscription(group=group, topics=(topic,), max_in_flight=10, drain_timeout=DRAIN)
    async with backend.consumer(wanted, drains_slowly) as first:
        await eventually(lambda: len(first.leases) == 2, "the first has both", SOON * 4)
        joining = asyncio.create_task(join())
        await asyncio.wait_for(asked.wait(), 20)
        began = time.monotonic()
        joining.cancel()
        await asyncio.wait({joining}, timeout=SESSION)
        assert joining.cancelled()
        assert time.monotonic() - began < SOON
        former = {id(lease) for lease in first.leases}
        may_go_on.set()
        began = time.monotonic()
        await eventually(
            lambda: len(first.leases) == 2 and not former & {id(one) for one in first.leases},
            "the first has both again",
            SESSION,
        )
        assert time.monotonic() - began < SOON
