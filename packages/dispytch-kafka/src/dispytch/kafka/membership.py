"""One client's time in a group: assignments, revocations, and what runs meanwhile."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from dispytch.kafka.clients import REBALANCE_MARGIN, left
from dispytch.kafka.commits import Commits
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import is_missing, place_of, rebalance_listener
from dispytch.kafka.driver_types import ConsumerClient, TopicPartition
from dispytch.kafka.failures import passes_by_itself
from dispytch.kafka.lag import lag
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases
from dispytch.kafka.pump import Pump
from dispytch.kafka.topic_names import subscribed_regex
from dispytch.kafka.vacancy import Vacancy
from dispytch.transport import OnRevoke, Subscription

logger: logging.Logger = logging.getLogger("dispytch.kafka")

_GRACE: Final = 1.0
"""Seconds that core may take beyond its drain timeout to give streams up."""

_PIN_TIMEOUT: Final = 10.0
_PAUSE: Final = 1.0


class Membership:
    """What a connected client does between joining the group and leaving it.

    The driver knows only rebalances that take everything from everyone: each one ends all leases,
    after core has drained them and what is settled is committed, and begins new ones.

    ``starts_at_end``: where the group has never been, it begins after the newest record.
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
        *,
        starts_at_end: bool,
    ) -> None:
        self._client = client
        self._config = config
        self._subscription = subscription
        self._leases = leases
        self._on_revoke = on_revoke
        self._arrived = arrived
        self._vacancy = vacancy
        self._starts_at_end = starts_at_end
        self._leaving = False
        self._giving_up: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Future[None]] = set()
        self._unfit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.assigned: asyncio.Event = asyncio.Event()
        self.commits: Commits = Commits(client, leases, self.forfeit)
        self.pump: Pump = Pump(
            client,
            leases,
            sign_of_life=min(1.0, config.max_poll_interval / 4),
            arrived=arrived,
            lost=lambda lease: self.lose([lease]),
        )

    async def run(self) -> None:
        """Join, then fetch and commit until `leave`.

        Raises:
            Exception: what either of them ended of; the client is of no more use.
        """
        await self.join()
        fetching = asyncio.create_task(self._fetch(), name="dispytch-kafka-fetch")
        committing = asyncio.create_task(self.commits.keep_up(), name="dispytch-kafka-commit")
        self._running = {fetching, committing, self._unfit}
        done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def join(self) -> None:
        """Join the group, in the background."""
        wanted, listener = self._subscription, rebalance_listener(self)
        if wanted.patterns:
            regex = subscribed_regex(wanted.topics, wanted.patterns)
            self._client.subscribe(pattern=regex, listener=listener)
        else:
            self._client.subscribe(wanted.topics, listener=listener)

    def is_unfit(self, error: Exception) -> None:
        """Have `run` end of this error."""
        if not self._unfit.done():
            self._unfit.set_exception(error)

    async def leave(self) -> None:
        """Commit what is settled, leave the group, and end the leases."""
        self._leaving = True
        self.pump.stop()
        with contextlib.suppress(Exception):
            await self.commits.commit()
        await left(self._client)
        # The client is closed, so that a fetch that still waits may now be cancelled.
        await _ended(self._running)
        self._leases.end(list(self._leases))
        if self._giving_up:
            await asyncio.wait(self._giving_up)

    @property
    def missing_topics(self) -> list[str]:
        """The topics that it is to read and that the broker does not have."""
        if not self.assigned.is_set():
            return []
        return [name for name in self._subscription.topics if is_missing(self._client, name)]

    async def lag(self) -> Mapping[str, int]:
        """See `Consumer.lag`.

        Raises:
            TransportError: the broker does not answer.
        """
        return await lag(self._client, self._leases, self._config)

    def lose(self, leases: Collection[KafkaLease]) -> None:
        """End leases that are others' already, and have core drop what has not started."""
        unaware = [lease for lease in leases if not lease.revoked]
        self._leases.end(leases)
        if unaware and not self._leaving:
            task = asyncio.create_task(self._give_up(unaware), name="dispytch-kafka-lost")
            self._giving_up.add(task)
            task.add_done_callback(self._giving_up.discard)

    def forfeit(self, leases: Collection[KafkaLease]) -> None:
        """Lose leases of which something could not be committed.

        The driver is ahead of what is settled. Where it still reads, it has to go back: the next
        lease would else begin, and commit, after what nobody has settled.
        """
        self.lose(leases)
        for lease in leases:
            if place_of(self._client, lease.partition) is not None:
                if (place := lease.unsettled_from) is not None:
                    self._client.seek(lease.partition, place)
                self._leases.assign([lease.partition])

    async def on_revoked(self) -> None:
        """See `Rebalanced.on_revoked`. The driver keeps the membership alive meanwhile."""
        leases = list(self._leases)
        self._vacancy.begin()
        for lease in leases:
            lease.revoked = True
        try:
            if leases and not self._leaving:
                await self._give_up(leases)
            await self.commits.flush(REBALANCE_MARGIN / 2)
        except Exception:
            logger.exception("giving up %s: the last commit failed", _names(leases))
        finally:
            self._leases.end(list(self._leases))

    async def on_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Rebalanced.on_assigned`."""
        held = set(partitions)
        if self._subscription.start_at == "latest":
            try:
                await self._pin(held, at_end=self._starts_at_end and not self.assigned.is_set())
            except Exception as error:
                self.is_unfit(error)
                return
        self._leases.end([lease for lease in self._leases if lease.partition not in held])
        self._leases.assign(held)
        self._vacancy.end()
        self.assigned.set()
        self.pump.look()

    async def _fetch(self) -> None:
        while not self._leaving:
            try:
                await self.pump.run()
            except Exception as error:
                if not passes_by_itself(error):
                    raise
                logger.warning("fetching from Kafka was disturbed and goes on: %r", error)
                await asyncio.sleep(_PAUSE)

    async def _give_up(self, leases: Collection[KafkaLease]) -> None:
        try:
            async with asyncio.timeout(self._subscription.drain_timeout + _GRACE):
                await self._on_revoke(leases)
        except Exception:
            logger.exception(
                "giving up %s failed; what is unsettled there comes again", _names(leases)
            )

    async def _pin(self, partitions: Collection[TopicPartition], *, at_end: bool) -> None:
        """Take a new group to the ends, and commit them, so that it misses nothing from then on.

        The driver's own way would take an old group there, too, when what it had reached is gone
        from the broker. A topic that has appeared since then is read from its start, and that is
        committed as well: another member that comes, and is new, would else begin at its end.
        """
        async with asyncio.timeout(_PIN_TIMEOUT):
            for partition in partitions:
                if await self._client.committed(partition) is None:
                    if at_end:
                        await self._client.seek_to_end(partition)
                    place = await self._client.position(partition)
                    await self._client.commit({partition: place})


async def _ended(tasks: Collection[asyncio.Future[Any]]) -> None:
    if tasks:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _names(leases: Collection[KafkaLease]) -> str:
    return ", ".join(lease.stream for lease in leases)
