"""What waits to be sent to one partition."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from dispytch.exceptions import BrokerUnreachable
from dispytch.kafka.driver import compressed_batch, known_partitions
from dispytch.kafka.driver_types import Batch, ProducerClient
from dispytch.kafka.failures import ClientClosed, TooLarge, needs_new_producer, send_failure
from dispytch.kafka.sending import Parcel
from dispytch.kafka.uplink import Uplink

logger: logging.Logger = logging.getLogger("dispytch.kafka")

_PATIENCE: Final = 1.0
_PAUSE: Final = 0.2


_COMPRESSED_AT_MOST: Final = 32 * 2**20
"""Bytes; compressing more would hold up everything else for too long."""


class _Load(NamedTuple):
    """A batch, and what is in it."""

    batch: Batch
    parcels: list[Parcel]


class Outbox:
    """Sends parcels to one partition, in order, a batch at a time.

    Everything that is put in while a batch is under way makes up the next one, from however many
    calls. One batch is under way at a time: when the broker refuses it, none behind it can have
    been taken, so it may be sent again without breaking the order. A batch that is handed over is
    never given up, even if nobody waits for it any more: what follows waits for its outcome.

    ``heal`` sees to it that a topic that was deleted exists again, if it may.
    """

    def __init__(
        self, topic: str, partition: int, uplink: Uplink, heal: Callable[[str], Awaitable[None]]
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._uplink = uplink
        self._heal = heal
        self._queue: deque[Parcel] = deque()
        self._limit: int | None = None
        self.task: asyncio.Task[None] | None = None

    def put(self, parcel: Parcel) -> None:
        """Send this one after all before it."""
        self._queue.append(parcel)
        # Eager tasks may have come to their end before they are noted here.
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._run(), name="dispytch-kafka-outbox")

    async def _run(self) -> None:
        load = self._load()
        while load.parcels:
            load = await self._deliver(load)

    async def _deliver(self, load: _Load) -> _Load:
        """Send one load, and make the next one meanwhile."""
        client = self._uplink.client
        following: _Load | None = None
        try:
            confirmation = await self._handed_over(client, load.batch)
            following = self._load()
            await self._confirmed(client, confirmation)
        except Exception as error:
            if following is not None:
                self._take_back(following.parcels)
            await self._recover(client, load, error)
            return self._load()
        for parcel in load.parcels:
            parcel.confirm()
        return following if following.parcels else self._load()

    async def _handed_over(self, client: ProducerClient, batch: Batch) -> Awaitable[object]:
        is_known = known_partitions(client, self._topic) is not None
        handing = client.send_batch(batch, self._topic, partition=self._partition)
        # Of a topic that is not known, it asks the broker first.
        return await (handing if is_known else self._uplink.answered(client, handing))

    def _load(self) -> _Load:
        queue, limit = self._queue, self._limit
        alone = bool(queue) and queue[0].compressed
        load = _Load(compressed_batch() if alone else self._uplink.client.create_batch(), [])
        while queue:
            parcel = queue[0]
            if not parcel.sending.over:
                full = limit and load.parcels and load.batch.size() + parcel.size > limit
                if full or parcel.compressed is not alone or not self._append(load, parcel):
                    break
            queue.popleft()
            if alone and load.parcels:
                break
        return load

    def _append(self, load: _Load, parcel: Parcel) -> bool:
        """Put a parcel into the batch; False when there is no room left for it."""
        try:
            taken = load.batch.append(
                timestamp=parcel.timestamp,
                key=parcel.key,
                value=parcel.value,
                headers=parcel.headers,
            )
        except Exception as error:
            parcel.fail(send_failure(error, self._name, parcel.size))
            return True
        if taken is not None:
            parcel.handed_over = True
            load.parcels.append(parcel)
        return taken is not None

    async def _confirmed(self, client: ProducerClient, confirmation: Awaitable[object]) -> None:
        waiting = asyncio.ensure_future(confirmation)
        while not (await asyncio.wait({waiting}, timeout=_PATIENCE))[0]:
            if self._uplink.has_closed(client):
                # The driver forgets what it had not sent when it was closed by force.
                raise ClientClosed
            if known_partitions(client, self._topic) is None:
                await self._heal(self._topic)
        waiting.result()

    async def _recover(self, client: ProducerClient, load: _Load, error: Exception) -> None:
        """Decide what becomes of a refused batch, and get a client whose numbering is whole."""
        if needs_new_producer(error):
            logger.warning("%s refused a batch, which is sent again: %r", self._name, error)
            self._take_back(load.parcels)
            await asyncio.sleep(_PAUSE)
        elif isinstance(error, TooLarge) and len(load.parcels) > 1:
            self._limit = load.batch.size() // 2
            self._take_back(load.parcels)
        elif isinstance(error, TooLarge) and _may_be_compressed(load.parcels[0]):
            # As a record of others may have been, which fitted only so.
            load.parcels[0].compressed = True
            self._take_back(load.parcels)
        else:
            for parcel in load.parcels:
                parcel.fail(send_failure(error, self._name, parcel.size))
        try:
            await self._uplink.replace(client)
        except BrokerUnreachable as unreachable:
            logger.warning("%s cannot be sent to for now: %s", self._name, unreachable)

    def _take_back(self, parcels: list[Parcel]) -> None:
        self._queue.extendleft(reversed(parcels))

    @property
    def _name(self) -> str:
        return f"{self._topic}[{self._partition}]"


def _may_be_compressed(parcel: Parcel) -> bool:
    return parcel.sent_on and not parcel.compressed and parcel.size <= _COMPRESSED_AT_MOST
