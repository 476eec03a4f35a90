"""A consumer that waits for its broker."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from dispytch.connecting.connection import Connection
from dispytch.messages import Delivery, Lease
from dispytch.transport import CONNECTION, Backend, Consumer, OnRevoke, Subscription


class WaitingConsumer(Consumer):
    """Receives with a consumer that may not be there yet; until it is, it holds nothing."""

    def __init__(self, connection: Connection[Consumer]) -> None:
        self._connection = connection
        self._stopped = asyncio.Event()

    async def receive(self) -> Sequence[Delivery]:
        """See `Consumer.receive`."""
        consumer = self._connection.value or await self._awaited()
        return () if consumer is None else await consumer.receive()

    def ack(self, delivery: Delivery) -> None:
        """See `Consumer.ack`."""
        self._connected.ack(delivery)

    def nack(self, delivery: Delivery) -> None:
        """See `Consumer.nack`."""
        self._connected.nack(delivery)

    async def flush(self) -> None:
        """See `Consumer.flush`."""
        if (consumer := self._there) is not None:
            await consumer.flush()

    @property
    def leases(self) -> Collection[Lease]:
        """See `Consumer.leases`."""
        consumer = self._there
        return () if consumer is None else consumer.leases

    async def lag(self) -> Mapping[str, int]:
        """See `Consumer.lag`."""
        consumer = self._there
        return {} if consumer is None else await consumer.lag()

    @property
    def problems(self) -> Mapping[str, str]:
        """See `Consumer.problems`; that there is no connection yet, and why."""
        if (consumer := self._there) is not None:
            return consumer.problems
        problem = self._connection.problem
        return {} if problem is None else {CONNECTION: problem}

    def pause(self, lease: Lease) -> None:
        """See `Consumer.pause`."""
        self._connected.pause(lease)

    def resume(self, lease: Lease) -> None:
        """See `Consumer.resume`."""
        self._connected.resume(lease)

    def stop_receiving(self) -> None:
        """See `Consumer.stop_receiving`."""
        self._stopped.set()
        if (consumer := self._there) is not None:
            consumer.stop_receiving()

    @property
    def _there(self) -> Consumer | None:
        return None if self._connection.has_failed else self._connection.value

    @property
    def _connected(self) -> Consumer:
        """For what it takes a delivery or a lease to ask: those come from one that is there."""
        consumer = self._connection.value
        assert consumer is not None
        return consumer

    async def _awaited(self) -> Consumer | None:
        """The consumer once it is there; None when it is stopped before."""
        opened = asyncio.ensure_future(self._connection.opened())
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({opened, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if self._stopped.is_set():
                return None
            return opened.result()
        finally:
            opened.cancel()
            stopped.cancel()


@asynccontextmanager
async def waiting_consumer(
    backend: Backend,
    subscription: Subscription,
    on_revoke: OnRevoke,
    prepare: Callable[[], Awaitable[None]],
) -> AsyncGenerator[Consumer, None]:
    """A consumer of what is prepared, both as soon as the broker can be reached."""

    @asynccontextmanager
    async def prepared() -> AsyncGenerator[Consumer, None]:
        await prepare()
        async with backend.consumer(subscription, on_revoke) as consumer:
            yield consumer

    async with Connection(prepared) as connection:
        yield WaitingConsumer(connection)
