"""Reading alone, to where the partitions ended at the start."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dispytch.exceptions import GroupTaken, TransportError
from dispytch.kafka.clients import admin
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import place_of
from dispytch.kafka.driver_types import AdminClient, ConsumerClient, TopicPartition
from dispytch.kafka.failures import KafkaError, passes_by_itself
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases
from dispytch.messages import Delivery

_ASK_AGAIN: Final = 0.2
"""Seconds."""


class Bounds:
    """Where the partitions of a group's only member end; its leases are those and no others."""

    def __init__(self, client: ConsumerClient, ends: Mapping[KafkaLease, int]) -> None:
        self._client = client
        self._ends = ends

    @classmethod
    async def of(cls, client: ConsumerClient, leases: Leases, config: KafkaConfig) -> "Bounds":
        """Those of the partitions that are held now.

        Raises:
            TransportError: the broker does not tell.
        """
        held: dict[TopicPartition, KafkaLease] = {lease.partition: lease for lease in leases}
        try:
            async with asyncio.timeout(config.request_timeout):
                ends = await client.end_offsets(list(held))
        except (KafkaError, TimeoutError) as error:
            raise TransportError(
                f"Kafka at {config.address} did not tell within {config.request_timeout:g} s where "
                f"the partitions end that are to be read; see whether it runs ({error!r})"
            ) from error
        return cls(client, {lease: ends[partition] for partition, lease in held.items()})

    def within(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those that lie before the ends."""
        return [
            delivery
            for delivery in deliveries
            if isinstance(delivery.lease, KafkaLease)
            and delivery.position < self._ends.get(delivery.lease, 0)
        ]

    @property
    def reached(self) -> bool:
        """Whether nothing before the ends is still to be handed out.

        Raises:
            TransportError: a partition was lost before.
        """
        for lease in self._ends:
            if lease.ended:
                raise TransportError(
                    f"{lease.stream} was taken away before it was read to its end: another member "
                    "has come, or the broker was away; nothing is lost, try again"
                )
        return all(self._is_read(lease, end) for lease, end in self._ends.items())

    def _is_read(self, lease: KafkaLease, end: int) -> bool:
        # What is not a record, as the marker of a transaction, has an offset as well.
        if lease.fresh and lease.fresh[0].position < end:
            return False
        place = place_of(self._client, lease.partition)
        return place is not None and place >= end


async def _described(client: AdminClient, group: str) -> Sequence[Any]:
    """What the broker says of a group; asked again while none is ready to say it.

    A broker that has never had a group yet makes the topic of their offsets first.
    """
    while True:
        try:
            return await client.describe_consumer_groups([group])
        except KafkaError as error:
            if not passes_by_itself(error):
                raise
        await asyncio.sleep(_ASK_AGAIN)


async def members_of(group: str, config: KafkaConfig) -> Sequence[Mapping[str, str]]:
    """The members of a group, as the broker knows them.

    Raises:
        BrokerUnreachable: no connection within the connect timeout.
        TransportError: the broker does not tell.
    """
    try:
        async with admin(config) as client, asyncio.timeout(config.request_timeout):
            (described,) = await _described(client, group)
    except (KafkaError, TimeoutError) as error:
        raise TransportError(
            f"Kafka at {config.address} did not tell who reads in group {group!r}: {error!r}"
        ) from error
    members: Sequence[Mapping[str, str]] = described.to_object()["groups"][0]["members"]
    return members


async def check_alone(group: str, config: KafkaConfig, *, own: int) -> None:
    """Return if a group has no other member; ``own``: how many it has of ours.

    Raises:
        GroupTaken: it has.
        TransportError: the broker does not tell.
    """
    members = await members_of(group, config)
    if len(members) > own:
        names = ", ".join(f"{one['client_id']} at {one['client_host']}" for one in members)
        raise GroupTaken(
            f"group {group!r} at {config.address} is being read by another reader, and only one "
            f"may: {names}; try again when it has ended. One that was killed is a member until its "
            f"session_timeout of {config.session_timeout:g} s is over"
        )
