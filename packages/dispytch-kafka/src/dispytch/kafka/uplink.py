"""The client that sends, and its replacement."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar
from weakref import WeakSet

from dispytch.kafka.clients import new_producer, stopped
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver_types import ProducerClient
from dispytch.kafka.failures import ClientClosed

Answer = TypeVar("Answer")

_LOOK: Final = 0.1
"""Seconds after which somebody who waits for a client looks whether it is still the one."""


class Uplink:
    """An idempotent producer that is replaced when its numbering is spoilt.

    The broker numbers the batches of each producer per partition and refuses any out of turn. The
    driver gives a number to every batch, so after one that the broker has refused for good, it
    would refuse all that follow: only a new producer helps, which counts from the start.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._config: Final = config
        self._replacing = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()
        self._closed: WeakSet[ProducerClient] = WeakSet()
        self.client: ProducerClient

    async def connect(self) -> None:
        """Connect.

        Raises:
            BrokerUnreachable: no connection within the connect timeout.
        """
        self.client = await new_producer(self._config)

    async def replace(self, spoilt: ProducerClient) -> None:
        """Have another client than this one from now on.

        What is on its way with the old one may still be confirmed.

        Raises:
            BrokerUnreachable: no connection within the connect timeout; the old one stays.
        """
        async with self._replacing:
            if self.client is spoilt:
                self.client = await new_producer(self._config)
                retiring = asyncio.create_task(self._retire(spoilt), name="dispytch-kafka-retire")
                self._retired.add(retiring)
                retiring.add_done_callback(self._retired.discard)

    def has_closed(self, client: ProducerClient) -> bool:
        """Whether nothing that is on its way with this client will ever be confirmed any more."""
        return client in self._closed

    async def answered(self, client: ProducerClient, asked: Awaitable[Answer]) -> Answer:
        """What a client answers that was asked about a topic; one that is closed never does.

        Raises:
            ClientClosed: it was replaced meanwhile.
        """
        waiting = asyncio.ensure_future(asked)
        try:
            while not (await asyncio.wait({waiting}, timeout=_LOOK))[0]:
                if self.client is not client:
                    raise ClientClosed
            return waiting.result()
        finally:
            waiting.cancel()

    async def close(self) -> None:
        """Close what is open; batches that are not confirmed by then are given up."""
        await stopped(self.client)
        if self._retired:
            await asyncio.wait(self._retired)

    async def _retire(self, client: ProducerClient) -> None:
        await stopped(client)
        self._closed.add(client)
