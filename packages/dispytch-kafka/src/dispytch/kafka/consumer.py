"""Receiving from Kafka."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import Final

from dispytch.exceptions import BrokerUnreachable, DispytchError, TransportError, reason_of
from dispytch.kafka.bounded import Bounds, check_alone
from dispytch.kafka.clients import new_consumer
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver_types import ConsumerClient, TopicPartition
from dispytch.kafka.failures import is_hopeless
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases
from dispytch.kafka.link import Link
from dispytch.kafka.membership import Membership
from dispytch.kafka.reading import Reading
from dispytch.kafka.vacancy import Vacancy
from dispytch.kafka.watch import Watch
from dispytch.messages import Delivery, Lease
from dispytch.transport import CONNECTION, Consumer, OnRevoke, Subscription

logger: logging.Logger = logging.getLogger("dispytch.kafka")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_GOOD_AFTER: Final = 60.0
"""The seconds for which a client must have served well before its failures are forgotten."""
_LOOK_AGAIN: Final = 0.05


class KafkaConsumer(Consumer):
    """A member of a group: buffers and windows per partition, commits of what is settled.

    What the driver cannot repair by itself is repaired by a new client, which joins the group
    anew, after pauses that grow while that does not help; `problems` says so. Where it never can,
    `receive` raises.
    """

    def __init__(
        self, config: KafkaConfig, subscription: Subscription, on_revoke: OnRevoke
    ) -> None:
        self._config = config
        self._subscription = subscription
        self._on_revoke = on_revoke
        self._leases = Leases(subscription.max_in_flight, shared=not subscription.bounded)
        self._bounds: Bounds | None = None
        self._news = asyncio.Event()
        self._stopped = False
        self._failure: DispytchError | None = None
        self._was_assigned = False
        self._places: dict[TopicPartition, int] = {}
        self._reading = Reading(config.max_batch_bytes)
        self._link = Link(config.address)
        self._vacancy = Vacancy(subscription.group, config.assignment_timeout)
        self._membership: Membership
        self._serving: asyncio.Task[None]

    async def join(self) -> None:
        """Connect and join the group; wait a little for the first assignment.

        Others may take as long as they drain to give partitions up, so this does not insist.

        Raises:
            BrokerUnreachable: no connection within the connect timeout.
        """
        if self._subscription.bounded:
            await check_alone(self._subscription.group, self._config, own=0)
        client = await self._new_client()
        self._membership = self._member(client)
        self._serving = asyncio.create_task(self._serve(), name="dispytch-kafka-consumer")
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                await self._membership.assigned.wait()
            if self._subscription.bounded:
                await check_alone(self._subscription.group, self._config, own=1)
                self._bounds = await Bounds.of(client, self._leases, self._config)
        except TimeoutError:
            if self._subscription.temporary or self._subscription.bounded:
                await self.close()
                raise self._failure or self._no_place() from None
            logger.info("the group %r has given no partitions yet", self._subscription.group)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Commit what is settled and leave the group."""
        self.stop_receiving()
        self._serving.cancel()
        await asyncio.wait({self._serving})
        await self._membership.leave()

    async def receive(self) -> Sequence[Delivery]:
        """See `Consumer.receive`."""
        while True:
            self._news.clear()
            if self._failure is not None:
                raise self._failure
            if self._stopped:
                return ()
            if taken := self._take():
                return taken
            if self._bounds is None:
                await self._news.wait()
            elif self._bounds.reached:
                return ()
            else:
                await self._news_or_pause()

    def _take(self) -> Sequence[Delivery]:
        taken = self._leases.take()
        if taken:
            self._membership.pump.look()
        return taken if self._bounds is None else self._bounds.within(taken)

    async def _news_or_pause(self) -> None:
        """Wait for news, and no longer than a moment: of gaps before an end there is none."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN):
                await self._news.wait()

    def ack(self, delivery: Delivery) -> None:
        """See `Consumer.ack`."""
        lease = delivery.lease
        if (
            isinstance(lease, KafkaLease)
            and not lease.ended
            and lease.offsets.settle(delivery.position)
            and (lease.fresh or lease.given_back or self._leases.is_crowded)
        ):
            self._news.set()

    def nack(self, delivery: Delivery) -> None:
        """See `Consumer.nack`."""
        lease = delivery.lease
        if isinstance(lease, KafkaLease) and not lease.ended:
            lease.give_back(delivery)
            self._news.set()

    async def flush(self) -> None:
        """See `Consumer.flush`. Bounded by the session's timeout, after which leases are lost."""
        try:
            await self._membership.commits.flush(self._config.session_timeout)
        except Exception as error:
            raise self._refused(error) from error

    @property
    def leases(self) -> Collection[Lease]:
        """See `Consumer.leases`."""
        return list(self._leases)

    async def lag(self) -> Mapping[str, int]:
        """See `Consumer.lag`. Takes no longer than a request may.

        Counts offsets, so gaps in what is not fetched yet make it too large.
        """
        return await self._membership.lag()

    @property
    def problems(self) -> Mapping[str, str]:
        """See `Consumer.problems`."""
        if (away := self._link.problem) is not None:
            return {CONNECTION: away}
        found = dict(self._reading.problems({lease.partition for lease in self._leases}))
        for name, sentence in {
            "assignment": self._vacancy.problem,
            "commits": self._membership.commits.problem,
        }.items():
            if sentence is not None:
                found[name] = sentence
        for topic in self._membership.missing_topics:
            found[f"topic {topic}"] = f"Kafka at {self._config.address} has no topic {topic!r}"
        return found

    def pause(self, lease: Lease) -> None:
        """See `Consumer.pause`."""
        if isinstance(lease, KafkaLease):
            lease.paused = True

    def resume(self, lease: Lease) -> None:
        """See `Consumer.resume`."""
        if isinstance(lease, KafkaLease):
            lease.paused = False
            self._news.set()
            self._membership.pump.look()

    def stop_receiving(self) -> None:
        """See `Consumer.stop_receiving`."""
        self._stopped = True
        self._news.set()

    async def _serve(self) -> None:
        """Keep a membership running; replace it when its client is of no more use."""
        failures = 0
        try:
            while True:
                membership, began = self._membership, monotonic()
                try:
                    await membership.run()
                    return
                except Exception as error:
                    self._was_assigned |= membership.assigned.is_set()
                    if is_hopeless(error):
                        raise
                    failures = 1 if monotonic() - began > _GOOD_AFTER else failures + 1
                    await self._failed(error, failures)
                await self._replace(membership)
        except Exception as error:
            logger.error("the Kafka consumer cannot go on: %r", error)
            self._failure = self._refused(error)
            self._news.set()

    async def _failed(self, error: Exception, failures: int) -> None:
        self._vacancy.begin(f"its Kafka client failed and is replaced: {reason_of(error)}")
        logger.warning("the Kafka client failed and is replaced: %r", error)
        await asyncio.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures - 1, 10)))

    async def _replace(self, membership: Membership) -> None:
        membership.lose(list(self._leases))
        await membership.leave()
        while True:
            try:
                self._membership = self._member(await self._new_client())
                return
            except BrokerUnreachable as error:
                self._link.failed(error)

    async def _new_client(self) -> ConsumerClient:
        return await new_consumer(self._config, self._subscription, self._reading, self._link)

    def _member(self, client: ConsumerClient) -> Membership:
        if self._subscription.temporary:
            return Watch(
                client,
                self._config,
                self._subscription,
                self._leases,
                self._on_revoke,
                self._news.set,
                self._vacancy,
                self._places,
            )
        return Membership(
            client,
            self._config,
            self._subscription,
            self._leases,
            self._on_revoke,
            self._news.set,
            self._vacancy,
            starts_at_end=self._subscription.start_at == "latest" and not self._was_assigned,
        )

    def _no_place(self) -> BrokerUnreachable:
        return BrokerUnreachable(
            f"Kafka at {self._config.address} did not tell within "
            f"{self._config.connect_timeout:g} s where {', '.join(self._subscription.topics)} end"
        )

    def _refused(self, error: Exception) -> DispytchError:
        if isinstance(error, DispytchError):
            return error
        wanted = self._subscription
        topics = [*wanted.topics, *(pattern.text for pattern in wanted.patterns)]
        failure = TransportError(
            f"the group {wanted.group!r} at {self._config.address} cannot go on with "
            f"{', '.join(topics)}: {reason_of(error)}"
        )
        failure.__cause__ = error
        return failure
