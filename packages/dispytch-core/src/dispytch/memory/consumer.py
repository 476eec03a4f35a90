"""Receiving from the in-memory broker."""

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from dispytch.exceptions import GroupTaken
from dispytch.memory.bell import Bell
from dispytch.memory.broker import MemoryBroker
from dispytch.memory.group import Group
from dispytch.memory.holding import Holding
from dispytch.memory.topic import Stream, Topic
from dispytch.messages import Delivery, Lease
from dispytch.transport import Consumer, OnRevoke, Subscription

logger: logging.Logger = logging.getLogger("dispytch")

_GRACE = 1.0
"""Seconds that a listener may take beyond its drain timeout to give streams up."""


class MemoryConsumer(Consumer):
    """Hands out what waits in the streams that its group has given it.

    Streams with something to hand out stand in a queue; the others cost nothing.
    """

    def __init__(
        self, broker: MemoryBroker, subscription: Subscription, on_revoke: OnRevoke
    ) -> None:
        self._broker = broker
        self._subscription = subscription
        self._room = broker.room
        self._delayed = broker.delayed
        self._temporary = subscription.temporary
        self._group = Group() if subscription.temporary else broker.group(subscription.group)
        self._on_revoke = on_revoke
        self._drain_timeout = subscription.drain_timeout
        self._max_in_flight = subscription.max_in_flight
        self._in_flight = 0
        self._window = subscription.max_in_flight
        self._held: dict[Lease, Holding] = {}
        self._queue: deque[Holding] = deque()
        self._bell = Bell()
        self._stopped = False
        self.bounded: bool = subscription.bounded
        self._left: dict[Lease, int] = {}
        self._loop = asyncio.get_running_loop()
        self._revocation: asyncio.Task[None] | None = None

    async def receive(self) -> Sequence[Delivery]:
        """See `Consumer.receive`."""
        while not self._stopped:
            deliveries = self._take()
            if deliveries:
                return deliveries
            if self.bounded and not any(self._left.values()):
                break
            await self._bell.wait()
        return ()

    def ack(self, delivery: Delivery) -> None:
        """See `Consumer.ack`."""
        holding = self._held.get(delivery.lease)
        if holding is not None and holding.cursor.ack(delivery.position):
            self._landed(holding)

    def nack(self, delivery: Delivery) -> None:
        """See `Consumer.nack`."""
        holding = self._held.get(delivery.lease)
        if holding is not None and holding.cursor.nack(delivery.position):
            self._landed(holding)

    async def flush(self) -> None:
        """See `Consumer.flush`. A settlement has reached this broker as soon as it is made."""

    @property
    def leases(self) -> Collection[Lease]:
        """See `Consumer.leases`."""
        return list(self._held)

    async def lag(self) -> Mapping[str, int]:
        """See `Consumer.lag`. What is delayed counts from when it is due."""
        return {lease.stream: holding.cursor.waiting for lease, holding in self._held.items()}

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

    def join(self, topics: Collection[Topic]) -> None:
        """Enter the group, to read these topics and what the subscription's patterns match."""
        if self._group.is_taken(whole=self.bounded):
            raise GroupTaken(
                f"group {self._subscription.group!r} of the in-memory broker is being read by "
                "another reader, and only one may: try again when it has ended"
            )
        self._delayed.serve(self._loop)
        named = {topic.name for topic in topics}
        matched = [
            topic
            for topic in self._broker.topics
            if topic.name not in named and self.wants(topic.name)
        ]
        start_at = "latest" if self._temporary else self._subscription.start_at
        self._group.join(self, [*topics, *matched], start_at)

    async def close(self) -> None:
        """Leave the group; what is unsettled stays with the broker."""
        self.stop_receiving()
        try:
            if self._revocation is not None:
                self._revocation.cancel()
                await asyncio.wait([self._revocation])
        finally:
            self._group.leave(self)
            if self._temporary:
                self._group.disband()

    @property
    def alive(self) -> bool:
        """See `Member.alive`."""
        return not self._loop.is_closed()

    def wants(self, topic: str) -> bool:
        """See `Member.wants`."""
        return any(pattern.matches(topic) for pattern in self._subscription.patterns)

    @property
    def giving_up(self) -> bool:
        """See `Member.giving_up`."""
        return self._revocation is not None

    def accept(self, streams: Collection[Stream]) -> None:
        """See `Member.accept`."""
        for stream in streams:
            holding = Holding(stream)
            holding.watch(self._offer)
            self._held[holding.lease] = holding
            self._left[holding.lease] = holding.cursor.waiting
        self._share_out()

    def give_up(self, streams: Collection[Stream]) -> None:
        """See `Member.give_up`."""
        names = {stream.name for stream in streams}
        leases = [lease for lease in self._held if lease.stream in names]
        for lease in leases:
            self._held[lease].revoked = True
        self._revocation = self._loop.create_task(
            self._revoke(leases, streams), name="dispytch-memory-revocation"
        )

    def end(self, streams: Collection[Stream]) -> None:
        """See `Member.end`."""
        names = {stream.name for stream in streams}
        for lease in [lease for lease in self._held if lease.stream in names]:
            lease.ended = True
            del self._left[lease]
            holding = self._held.pop(lease)
            holding.revoked = True
            self._in_flight -= holding.cursor.in_flight
        self._share_out()

    async def _revoke(self, leases: Collection[Lease], streams: Collection[Stream]) -> None:
        # An eager task must not release the streams while the group is still sharing them out.
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._drain_timeout + _GRACE):
                await self._on_revoke(leases)
        except Exception:
            logger.exception(
                "giving up %s failed; what is unsettled there comes again",
                ", ".join(lease.stream for lease in leases),
            )
        self._revocation = None
        self._group.release(self, streams)

    def _take(self) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for _ in range(len(self._queue)):
            room = self._max_in_flight - self._in_flight
            if room <= 0:
                break
            holding = self._queue.popleft()
            holding.queued = False
            if holding.ready(self._window) and (limit := self._limit(holding, room)):
                taken = holding.take(limit)
                self._left[holding.lease] -= len(taken)
                self._in_flight += len(taken)
                deliveries += taken
                self._enqueue(holding)
        return deliveries

    def _limit(self, holding: Holding, room: int) -> int:
        """How many it may hand out of one stream now."""
        limit = min(room, self._window - holding.cursor.in_flight)
        return min(limit, self._left[holding.lease]) if self.bounded else limit

    def _landed(self, holding: Holding) -> None:
        was_full = self._in_flight >= self._max_in_flight
        self._in_flight -= 1
        self._room.ring()
        # What stands in the queue has been offered, and waits for room at most.
        if was_full or not holding.queued:
            self._offer(holding)

    def _offer(self, holding: Holding) -> None:
        self._enqueue(holding)
        if self._queue and self._in_flight < self._max_in_flight:
            self._bell.ring()

    def _enqueue(self, holding: Holding) -> None:
        if not holding.queued and holding.ready(self._window):
            holding.queued = True
            self._queue.append(holding)

    def _share_out(self) -> None:
        shares = 1 if self.bounded else max(1, len(self._held))
        self._window = max(1, self._max_in_flight // shares)
        for holding in self._held.values():
            self._offer(holding)
