"""A backend without a broker, for the cost of dispytch alone."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain, cycle, islice
from typing import Self

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


class ReadyBackend(Backend):
    """Keeps what is sent, and hands it out again and again, ``count`` messages in all.

    They are few, and so as near to the processor as what has just come from a socket.
    """

    features = Features(durable=False, history=True, shared_order=False)

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.count = 0

    @classmethod
    def from_url(cls, url: str) -> Self:
        """There is none."""
        raise ConfigurationError(f"{cls.__qualname__} is made by hand, not of {url!r}")

    async def ping(self) -> None:
        """Nobody has to answer."""

    async def prepare(self, topology: Topology) -> None:
        """There is nothing to make."""

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[Producer]:
        """A producer that keeps what it is given."""
        yield _Keeping(self.messages)

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncIterator[Consumer]:
        """A consumer of what was kept."""
        yield _HandingOut(self.messages, self.count, subscription.max_in_flight)


class _Keeping(Producer):
    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        self._messages += messages


class _HandingOut(Consumer):
    def __init__(self, messages: Sequence[Message], count: int, window: int) -> None:
        self._lease = Lease(messages[0].topic, "ready")
        self._following: Iterator[tuple[int, Message]] = enumerate(islice(cycle(messages), count))
        self._room = window
        self._paused = False
        self._settled = asyncio.Event()
        self._stopped = False

    async def receive(self) -> Sequence[Delivery]:
        while not self._stopped:
            lease, room = self._lease, 0 if self._paused else self._room
            taken = [
                Delivery(message.topic, message.value, message.key, message.headers, lease, number)
                for number, message in islice(self._following, room)
            ]
            self._room -= len(taken)
            if taken:
                return taken
            self._settled.clear()
            await self._settled.wait()
        return ()

    def ack(self, delivery: Delivery) -> None:
        self._room += 1
        self._settled.set()

    def nack(self, delivery: Delivery) -> None:
        self._following = chain([(delivery.position, delivery)], self._following)
        self.ack(delivery)

    async def flush(self) -> None: ...

    @property
    def leases(self) -> Collection[Lease]:
        return [self._lease]

    async def lag(self) -> Mapping[str, int]:
        return {}

    def pause(self, lease: Lease) -> None:
        self._paused = True

    def resume(self, lease: Lease) -> None:
        self._paused = False
        self._settled.set()

    def stop_receiving(self) -> None:
        self._stopped = True
        self._settled.set()
