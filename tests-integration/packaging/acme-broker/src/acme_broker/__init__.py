"""A backend of somebody else's, with a top-level name of its own: one queue per group and topic."""

import asyncio
from bisect import insort
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count

from dispytch.exceptions import ConfigurationError
from dispytch.messages import Delivery, Lease, Message
from dispytch.transport import (
    Backend,
    Consumer,
    Features,
    OnRevoke,
    Producer,
    Subscription,
    Topology,
)

Queue = list[tuple[int, Message]]
"""Messages with their positions, the oldest first."""

_queues: dict[tuple[str, str], Queue] = {}
_arrivals: set[asyncio.Event] = set()
_positions = count(1)


class AcmeProducer(Producer):
    """Puts a message into the queue of every group."""

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        """See `Producer.send`."""
        if delay is not None:
            raise ConfigurationError("Acme's broker keeps no message back: send without a delay")
        for message in messages:
            for (_, topic), queue in _queues.items():
                if topic == message.topic:
                    queue.append((next(_positions), message))
        for arrival in _arrivals:
            arrival.set()


class AcmeLease(Lease):
    """One queue in a consumer's hands."""

    def __init__(self, topic: str, queue: Queue, window: int) -> None:
        super().__init__(topic, topic)
        self.unsettled: dict[int, Message] = {}
        self.paused = False
        self._queue = queue
        self._window = window

    @property
    def waiting(self) -> int:
        """How many are still to be handed out."""
        return len(self._queue)

    def take(self) -> list[Delivery]:
        """What there is and the window has room for."""
        room = 0 if self.paused else self._window - len(self.unsettled)
        taken, self._queue[:room] = self._queue[:room], []
        self.unsettled.update(taken)
        return [
            Delivery(one.topic, one.value, one.key, one.headers, self, position)
            for position, one in taken
        ]

    def give_back(self, position: int) -> None:
        """Put one back where it was."""
        if position in self.unsettled:
            insort(self._queue, (position, self.unsettled.pop(position)), key=lambda one: one[0])


class AcmeConsumer(Consumer):
    """Takes from the queues of its group."""

    def __init__(self, subscription: Subscription) -> None:
        window = max(1, subscription.max_in_flight // len(subscription.topics))
        self._leases = [
            AcmeLease(topic, _queues[subscription.group, topic], window)
            for topic in subscription.topics
        ]
        self._arrival = asyncio.Event()
        self._stopped = False
        _arrivals.add(self._arrival)

    async def receive(self) -> Sequence[Delivery]:
        """See `Consumer.receive`."""
        while not self._stopped:
            self._arrival.clear()
            if batch := [one for lease in self._leases for one in lease.take()]:
                return batch
            await self._arrival.wait()
        return ()

    def ack(self, delivery: Delivery) -> None:
        """See `Consumer.ack`."""
        _acme(delivery.lease).unsettled.pop(delivery.position, None)
        self._arrival.set()

    def nack(self, delivery: Delivery) -> None:
        """See `Consumer.nack`."""
        _acme(delivery.lease).give_back(delivery.position)
        self._arrival.set()

    async def flush(self) -> None:
        """See `Consumer.flush`: a settlement is made at once."""

    @property
    def leases(self) -> Collection[Lease]:
        """See `Consumer.leases`."""
        return [lease for lease in self._leases if not lease.ended]

    async def lag(self) -> Mapping[str, int]:
        """See `Consumer.lag`."""
        return {lease.stream: lease.waiting for lease in self._leases if not lease.ended}

    def pause(self, lease: Lease) -> None:
        """See `Consumer.pause`."""
        _acme(lease).paused = True

    def resume(self, lease: Lease) -> None:
        """See `Consumer.resume`."""
        _acme(lease).paused = False
        self._arrival.set()

    def stop_receiving(self) -> None:
        """See `Consumer.stop_receiving`."""
        self._stopped = True
        self._arrival.set()

    def close(self) -> None:
        """Put back what is not settled."""
        for lease in self._leases:
            for position in list(lease.unsettled):
                lease.give_back(position)
            lease.ended = True
        _arrivals.discard(self._arrival)


def _acme(lease: Lease) -> AcmeLease:
    assert isinstance(lease, AcmeLease)
    return lease


class AcmeBackend(Backend):
    """The whole of Acme's broker."""

    contract = 1
    features = Features(durable=False, history=False, shared_order=False)

    @classmethod
    def from_url(cls, url: str) -> "AcmeBackend":
        """See `Backend.from_url`."""
        if url != "acme://":
            raise ConfigurationError(f"Acme's broker is acme://, not {url!r}")
        return cls()

    async def ping(self) -> None:
        """See `Backend.ping`."""

    async def prepare(self, topology: Topology) -> None:
        """See `Backend.prepare`."""
        if topology.group is not None:
            for topic in topology.topics:
                _queues.setdefault((topology.group, topic), [])

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[Producer]:
        """See `Backend.producer`."""
        yield AcmeProducer()

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncIterator[Consumer]:
        """See `Backend.consumer`."""
        await self.prepare(Topology(topics=subscription.topics, group=subscription.group))
        consumer = AcmeConsumer(subscription)
        try:
            yield consumer
        finally:
            consumer.close()
