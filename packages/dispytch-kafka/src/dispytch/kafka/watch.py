"""Reading topics alone: every partition, in no group."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Final

from dispytch.exceptions import TransportError
from dispytch.kafka.commits import Commits
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import discovered_partitions, partition_of
from dispytch.kafka.driver_types import ConsumerClient, TopicPartition
from dispytch.kafka.failures import KafkaError
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases
from dispytch.kafka.membership import Membership
from dispytch.kafka.vacancy import Vacancy
from dispytch.transport import OnRevoke, Subscription

_LOOK_AGAIN: Final = 2.0
_SEEK_TIMEOUT: Final = 10.0


class Watch(Membership):
    """A connected client that reads all partitions of its topics, and commits nothing.

    ``places`` outlives it, so that the next client goes on where this one was: a place for every
    partition that was ever read. Where it is empty, this begins after the newest records; later, a
    partition that has no place yet is new, and read from its start.
    """

    def __init__(
        self,
        client: ConsumerClient,
        config: KafkaConfig,
        subscription: Subscription,
        leases: Leases,
        on_revoke: OnRevoke,
        arrived: Callable[[], None],
        vacancy: Vacancy,
        places: dict[TopicPartition, int],
    ) -> None:
        super().__init__(
            client,
            config,
            subscription,
            leases,
            on_revoke,
            arrived,
            vacancy,
            starts_at_end=not places,
        )
        self.commits: Commits = _NoCommits(client, leases, self.forfeit)
        self._places = places
        self._growing: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Take all partitions, where they were left or at their ends.

        Raises:
            KafkaError, TimeoutError: the broker does not tell of them.
        """
        partitions = await self._partitions()
        self._client.assign(partitions)
        async with asyncio.timeout(_SEEK_TIMEOUT):
            for partition in partitions:
                await self._find_place(partition)
        self._leases.assign(partitions)
        self._vacancy.end()
        self.assigned.set()
        self.pump.look()
        self._growing = asyncio.create_task(self._grow(partitions), name="dispytch-kafka-watch")

    async def leave(self) -> None:
        """Close the client, and end the leases."""
        if self._growing is not None:
            self._growing.cancel()
        await super().leave()

    def lose(self, leases: Collection[KafkaLease]) -> None:
        """End leases; what is unsettled of them is read again."""
        for lease in leases:
            if (place := lease.unsettled_from) is not None:
                self._places[lease.partition] = place
        super().lose(leases)

    async def _partitions(self) -> list[TopicPartition]:
        found: list[TopicPartition] = []
        for topic in self._subscription.topics:
            numbers = await discovered_partitions(self._client, topic)
            found += [partition_of(topic, number) for number in sorted(numbers)]
        return found

    async def _find_place(self, partition: TopicPartition) -> None:
        if self._starts_at_end:
            await self._client.seek_to_end(partition)
            self._places[partition] = await self._client.position(partition)
        else:
            self._client.seek(partition, self._places.setdefault(partition, 0))

    async def _grow(self, partitions: Collection[TopicPartition]) -> None:
        """Ask for another client when there are more partitions than this one reads."""
        count = len(partitions)
        while count <= len(partitions):
            await asyncio.sleep(_LOOK_AGAIN)
            # While the broker is away, it tells nothing.
            with contextlib.suppress(KafkaError):
                count = len(await self._partitions())
        self.is_unfit(TransportError(f"its topics have {count} partitions by now"))


class _NoCommits(Commits):
    """Nobody goes on where this reader ends."""

    async def commit(self) -> bool:
        """Have nothing to commit."""
        return True
