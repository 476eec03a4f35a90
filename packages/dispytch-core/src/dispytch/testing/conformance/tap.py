"""A backend with an eye on what passes, and a hand on what is sent."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar, Self

from dispytch.event_config import EventConfig
from dispytch.exceptions import BrokerUnreachable, ConfigurationError, SendError
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

Refuse = Callable[[Message], bool]


class Tap(Backend):
    """Another backend, watched: see `tapped`.

    refuses: messages that are not sent but fail, as if the broker did not take them.
    refused: how often that was so.
    sent: what was sent and confirmed.
    unsettled: what is handed out and not settled, on leases that have not ended.
    peak: the largest number of them at any time.
    problems: what its consumers find wrong, beside what the other's do.
    """

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.refuses: Refuse = lambda message: False
        self.refused = 0
        self.sent: list[Message] = []
        self.peak: int = 0
        self.problems: dict[str, str] = {}
        self._handed_out: dict[Delivery, None] = {}

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Not to be had by URL."""
        raise ConfigurationError("a tap is made around a backend")

    async def ping(self) -> None:
        """See `Backend.ping`."""
        await self.inner.ping()

    async def prepare(self, topology: Topology) -> None:
        """See `Backend.prepare`."""
        await self.inner.prepare(topology)

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[Producer, None]:
        """See `Backend.producer`."""
        async with self.inner.producer() as producer:
            yield _Producer(self, producer)

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncGenerator[Consumer, None]:
        """See `Backend.consumer`."""
        async with self.inner.consumer(subscription, on_revoke) as consumer:
            yield _Consumer(self, consumer)

    @property
    def unsettled(self) -> list[Delivery]:
        """See the class."""
        return [delivery for delivery in self._handed_out if not delivery.lease.ended]

    def hand_out(self, deliveries: Sequence[Delivery]) -> None:
        """Count them as in flight."""
        self._handed_out.update(dict.fromkeys(deliveries))
        self.peak = max(self.peak, len(self.unsettled))

    def settle(self, delivery: Delivery) -> None:
        """Count it no longer."""
        self._handed_out.pop(delivery, None)


def tapped(backend: Backend, *, delay: bool = True) -> Tap:
    """A tap around a backend; with ``delay=False`` as if its broker had no delays."""
    given, config = backend.features, backend.event_config

    class Tapped(Tap):
        contract: ClassVar[int] = backend.contract
        features: ClassVar[Features] = replace(given, delay=given.delay and delay)
        event_config: ClassVar[type[EventConfig] | None] = config

    return Tapped(backend)


class _Producer(Producer):
    def __init__(self, tap: Tap, inner: Producer) -> None:
        self._tap = tap
        self._inner = inner

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        refused = [index for index, one in enumerate(messages) if self._tap.refuses(one)]
        if refused:
            self._tap.refused += 1
            reason = BrokerUnreachable("refused, for the sake of the test")
            raise SendError(dict.fromkeys(range(len(messages)), reason), len(messages))
        if delay is None:
            await self._inner.send(messages)
        else:
            await self._inner.send(messages, delay=delay)
        self._tap.sent.extend(messages)


class _Consumer(Consumer):
    def __init__(self, tap: Tap, inner: Consumer) -> None:
        self._tap = tap
        self._inner = inner

    async def receive(self) -> Sequence[Delivery]:
        deliveries = await self._inner.receive()
        self._tap.hand_out(deliveries)
        return deliveries

    def ack(self, delivery: Delivery) -> None:
        self._tap.settle(delivery)
        self._inner.ack(delivery)

    def nack(self, delivery: Delivery) -> None:
        self._tap.settle(delivery)
        self._inner.nack(delivery)

    async def flush(self) -> None:
        await self._inner.flush()

    @property
    def leases(self) -> Collection[Lease]:
        return self._inner.leases

    async def lag(self) -> Mapping[str, int]:
        return await self._inner.lag()

    @property
    def problems(self) -> Mapping[str, str]:
        return {**self._inner.problems, **self._tap.problems}

    def pause(self, lease: Lease) -> None:
        self._inner.pause(lease)

    def resume(self, lease: Lease) -> None:
        self._inner.resume(lease)

    def stop_receiving(self) -> None:
        self._inner.stop_receiving()
