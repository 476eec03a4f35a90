"""Fetching: from the driver into the buffers of the leases."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from dispytch.kafka.driver import partition_of
from dispytch.kafka.driver_types import ConsumerClient, Record, TopicPartition
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases

CHUNK: Final = 125
_IDLE_MS: Final = 250
_BUSY_MS: Final = 5
_SLOW_MS: Final = 100
_NOWHERE: Final = partition_of("", 0)


class Pump:
    """The only caller of the driver's `getmany`, which must never be cancelled under way.

    It asks for the partitions whose buffer runs low, and looks again soon when some were left out
    that may run low meanwhile: the sooner, the more is handed out. It asks often enough, if need
    be for nothing, to show the group that this member is alive, however long its handlers take.

    ``arrived`` is called when there is something new; ``lost`` takes a lease that has ended.
    """

    def __init__(
        self,
        client: ConsumerClient,
        leases: Leases,
        *,
        sign_of_life: float,
        arrived: Callable[[], None],
        lost: Callable[[KafkaLease], None],
    ) -> None:
        self._client = client
        self._leases = leases
        self._sign_of_life = sign_of_life
        self._arrived = arrived
        self._lost = lost
        self._hungry = asyncio.Event()
        self._patience = _BUSY_MS
        self._stopped = False

    def look(self) -> None:
        """Something was handed out or may be handed out again: a buffer may run low."""
        self._hungry.set()

    def stop(self) -> None:
        """Have `run` return after the fetch that is under way."""
        self._stopped = True
        self._hungry.set()

    async def run(self) -> None:
        """Fetch until stopped.

        Raises:
            KafkaError: the driver cannot go on, or has to tell of something that it repairs.
        """
        while not self._stopped:
            busy = self._hungry.is_set()
            self._patience = _BUSY_MS if busy else min(2 * self._patience, _SLOW_MS)
            self._hungry.clear()
            hungry = self._leases.hungry()
            if hungry:
                await self._fetch(hungry)
            elif not len(self._leases):
                await self._client.getmany(_NOWHERE, timeout_ms=_SLOW_MS)
            elif not await self._rested():
                await self._client.getmany(_NOWHERE, timeout_ms=0)

    async def _fetch(self, hungry: list[TopicPartition]) -> None:
        """Fetch a chunk of each; the driver empties one partition before it takes the next."""
        of_all = len(hungry) == self._leases.count_active()
        wait = _IDLE_MS if of_all else self._patience
        while hungry:
            fetched = await self._client.getmany(*hungry, timeout_ms=wait, max_records=CHUNK)
            await self._store(fetched)
            if sum([len(records) for records in fetched.values()]) < CHUNK:
                if of_all and wait and not fetched:
                    self._client.hurry(False)
                return
            # The driver holds more, and asks only for the partitions of which it holds nothing.
            # Those that run dry must not wait for others where nothing happens.
            self._client.hurry(True)
            wait = 0
            hungry = [partition for partition in hungry if partition not in fetched]

    async def _store(self, fetched: Mapping[TopicPartition, list[Record]]) -> None:
        for partition, records in fetched.items():
            if (lost := self._leases.store(partition, records)) is not None:
                self._lost(lost)
        if fetched:
            self._arrived()
            # Let it be handed out first: a partition whose buffer is empty again is asked for with
            # all others, while one that was left out has to wait until something comes of those.
            await asyncio.sleep(0)

    async def _rested(self) -> bool:
        """Wait until a buffer may have run low; False when it is time for a sign of life."""
        try:
            async with asyncio.timeout(self._sign_of_life):
                await self._hungry.wait()
        except TimeoutError:
            return False
        return True
