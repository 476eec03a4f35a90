"""A producer that waits for its broker."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from dispytch.connecting.connection import Connection
from dispytch.exceptions import BrokerUnreachable, SendError
from dispytch.messages import Message
from dispytch.transport import Backend, Producer


class WaitingProducer(Producer):
    """Sends with a producer that may not be there yet: a send waits for it, but not for ever."""

    def __init__(self, connection: Connection[Producer], seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        """See `Producer.send`. Without a connection, it fails within the send timeout."""
        producer = self._connection.value or await self._awaited(len(messages))
        await producer.send(messages, delay=delay)

    async def _awaited(self, count: int) -> Producer:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._connection.opened()
        except TimeoutError:
            text = f"not sent within {self._seconds:g} s: {self._connection.problem}"
            failures = {index: BrokerUnreachable(text) for index in range(count)}
            raise SendError(failures, count) from None


@asynccontextmanager
async def waiting_producer(
    backend: Backend, *, name: str | None = None
) -> AsyncGenerator[Producer, None]:
    """A producer, connected as soon as the broker can be reached."""
    async with Connection(backend.producer, name=name) as connection:
        yield WaitingProducer(connection, backend.send_timeout)
