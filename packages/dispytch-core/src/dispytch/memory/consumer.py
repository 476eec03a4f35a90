"""Receiving from the in-memory broker."""

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Sequence

from dispytch.memory.bell import Bell
from dispytch.memory.group import Group
from dispytch.memory.holding import Holding
from dispytch.memory.topic import Stream
from dispytch.messages import Delivery, Lease
from dispytch.transport import Consumer, OnRevoke, Subscription

logger = logging.getLogger("dispytch")

_GRACE = 1.0
"""Seconds beyond its drain timeout that a listener has to finish giving streams up."""


class MemoryConsumer(Consumer):
    """Hands out what the streams that its group gave it have waiting.

    ``_ready`` holds the streams that may have something to hand out, each once and in turn; the
    others cost nothing.
    """

    def __init__(self, group: Group, subscription: Subscription, on_revoke: OnRevoke) -> None:
        self._group = group
        self._subscription = subscription
        self._on_revoke = on_revoke
        self._loop = asyncio.get_running_loop()
        self._held: dict[Lease, Holding] = {}
        self._ready: deque[Holding] = deque()
        self._in_flight = 0
        self._stopped = False
        self._bell = Bell()
        self._giving_up: asyncio.Task[None] | None = None

    async def receive(self) -> Sequence[Delivery]:
        """See `Consumer.receive`."""
        while not self._stopped:
            deliveries = self._take()
            if deliveries:
                return deliveries
            await self._bell.wait()
        return ()

    def ack(self, delivery: Delivery) -> None:
        """See `Consumer.ack`."""
        holding = self._held.get(delivery.lease)
        if holding is not None and holding.cursor.ack(delivery.position):
            self._settled(holding)

    def nack(self, delivery: Delivery) -> None:
        """See `Consumer.nack`."""
        holding = self._held.get(delivery.lease)
        if holding is not None and holding.cursor.nack(delivery.position):
            self._settled(holding)

    async def flush(self) -> None:
        """See `Consumer.flush`: here a settlement is known to the broker when it is made."""

    def pause(self, lease: Lease) -> None:
        """See `Consumer.pause`."""
        if lease in self._held:
            self._held[lease].paused = True

    def resume(self, lease: Lease) -> None:
        """See `Consumer.resume`."""
        if lease in self._held:
            self._held[lease].paused = False
            self._offer(self._held[lease])

    def stop_receiving(self) -> None:
        """See `Consumer.stop_receiving`."""
        self._stopped = True
        self._bell.ring()
