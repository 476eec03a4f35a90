"""Assignments and losses, beside a driver that only notes what it is told."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

import pytest
from aiokafka.errors import (
    CommitFailedError,
    KafkaConnectionError,
    UnknownMemberIdError,
)

from dispytch.exceptions import TransportError
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import partition_of
from dispytch.kafka.driver_types import ConsumerClient, TopicPartition
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases
from dispytch.kafka.membership import Membership
from dispytch.kafka.vacancy import Vacancy
from dispytch.messages import Lease
from dispytch.transport import Subscription

HERE, THERE = partition_of("t", 0), partition_of("t", 1)


@dataclass
class FakeRecord:
    offset: int
    timestamp: int = 7
    key: bytes | None = b"key"
    value: bytes | None = b"value"
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Place:
    """The driver's state of one partition."""

    position: int
    has_valid_position: bool = True


class FakeClient:
    """Plays the driver, and that part of its inside that tells of positions."""

    def __init__(self) -> None:
        self.places: dict[TopicPartition, Place] = {}
        self.ends: dict[TopicPartition, int] | Exception = {}
        self.group: dict[TopicPartition, int] = {}
        self.error: Exception | None = None
        self.answers = True
        self._subscription = self.subscription = self.assignment = self._client = self

    async def force_metadata_update(self) -> bool:
        return self.answers

    def is_assigned(self, partition: TopicPartition) -> bool:
        return partition in self.places

    def state_value(self, partition: TopicPartition) -> Place:
        return self.places[partition]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.places[partition].position = offset

    async def seek_to_end(self, partition: TopicPartition) -> bool:
        assert isinstance(self.ends, dict)
        self.seek(partition, self.ends[partition])
        return True

    async def position(self, partition: TopicPartition) -> int:
        return self.places[partition].position

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.group.get(partition)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.error is not None:
            raise self.error
        self.group |= offsets

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if isinstance(self.ends, Exception):
            raise self.ends
        return {partition: self.ends[partition] for partition in partitions}


class Desk:
    """A membership that holds one partition, of which ten records were handed out."""

    def __init__(self, *, starts_at_end: bool = False) -> None:
        self.client = FakeClient()
        self.leases = Leases(100)
        self.revoked: list[Lease] = []
        self.membership = Membership(
            cast(ConsumerClient, self.client),
            KafkaConfig.of(request_timeout=0.05),
            Subscription(
                group="g",
                topics=("t",),
                max_in_flight=100,
                start_at="latest" if starts_at_end else "earliest",
            ),
            self.leases,
            self._revoke,
            lambda: None,
            Vacancy("g", 30),
            starts_at_end=starts_at_end,
        )

    async def _revoke(self, leases: Collection[Lease]) -> None:
        self.revoked += leases

    def hand_out(self, *offsets: int, buffered: Sequence[int] = ()) -> KafkaLease:
        self.leases.assign([HERE])
        self.leases.store(HERE, [FakeRecord(offset) for offset in offsets])
        self.leases.take()
        (lease,) = self.leases
        if buffered:
            lease.store([FakeRecord(offset) for offset in buffered])
        self.client.places[HERE] = Place([*offsets, *buffered][-1] + 1)
        return lease


async def test_a_lease_that_cannot_commit_sends_the_driver_back_to_what_is_not_settled() -> None:
    desk = Desk()
    lease = desk.hand_out(3, 4, 6, 8, buffered=[9, 11])
    lease.offsets.settle(3)
    lease.offsets.settle(6)
    error = CommitFailedError()
    error.__cause__ = UnknownMemberIdError()
    desk.client.error = error
    await desk.membership.commits.commit()
    (fresh,) = desk.leases
    assert lease.ended
    assert not fresh.ended
    assert desk.client.places[HERE].position == 4
    await asyncio.sleep(0)
    assert desk.revoked == [lease]


async def test_a_lease_of_which_nothing_was_handed_out_goes_back_to_its_begin() -> None:
    desk = Desk()
    desk.leases.assign([HERE])
    (lease,) = desk.leases
    lease.store([FakeRecord(5), FakeRecord(6)])
    desk.client.places[HERE] = Place(7)
    desk.membership.forfeit([lease])
    assert desk.client.places[HERE].position == 5


async def test_a_lease_on_what_the_driver_does_not_read_any_more_only_ends() -> None:
    desk = Desk()
    lease = desk.hand_out(0)
    desk.client.places.clear()
    desk.membership.forfeit([lease])
    assert lease.ended
    assert not len(desk.leases)


async def test_what_is_all_settled_is_committed_up_to_the_drivers_place() -> None:
    desk = Desk()
    lease = desk.hand_out(0, 1)
    desk.client.places[HERE].position = 5
    lease.offsets.settle(1)
    await desk.membership.commits.commit()
    assert desk.client.group == {HERE: 0}
    lease.offsets.settle(0)
    await desk.membership.commits.commit()
    assert desk.client.group == {HERE: 5}
    lease.store([FakeRecord(7)])
    desk.client.places[HERE].position = 8
    await desk.membership.commits.commit()
    assert desk.client.group == {HERE: 5}


async def test_a_new_group_at_latest_begins_at_the_end_and_an_old_one_where_it_was() -> None:
    desk = Desk(starts_at_end=True)
    desk.client.places = {HERE: Place(0), THERE: Place(2)}
    desk.client.ends = {HERE: 10, THERE: 10}
    desk.client.group = {THERE: 2}
    await desk.membership.on_assigned([HERE, THERE])
    assert desk.client.group == {HERE: 10, THERE: 2}
    assert [place.position for place in desk.client.places.values()] == [10, 2]
    assert desk.membership.assigned.is_set()


async def test_what_appears_later_is_read_from_its_start_by_whoever_gets_it() -> None:
    desk = Desk(starts_at_end=True)
    desk.client.places = {HERE: Place(0)}
    desk.client.ends = {HERE: 10, THERE: 5}
    await desk.membership.on_assigned([HERE])
    desk.client.places[THERE] = Place(0)
    await desk.membership.on_revoked()
    await desk.membership.on_assigned([HERE, THERE])
    assert desk.client.group == {HERE: 10, THERE: 0}
    assert desk.client.places[THERE].position == 0


async def test_a_membership_that_cannot_find_its_start_hands_nothing_out() -> None:
    desk = Desk(starts_at_end=True)
    desk.client.places = {HERE: Place(0)}
    desk.client.ends = {HERE: 10}
    desk.client.error = KafkaConnectionError()
    await desk.membership.on_assigned([HERE])
    assert not len(desk.leases)
    assert not desk.membership.assigned.is_set()
    with pytest.raises(KafkaConnectionError):
        await desk.membership._unfit


async def test_an_assignment_ends_what_is_not_in_it() -> None:
    desk = Desk()
    lease = desk.hand_out(0)
    await desk.membership.on_assigned([THERE])
    assert lease.ended
    assert [held.partition for held in desk.leases] == [THERE]


async def test_the_lag_counts_what_is_buffered_and_not_what_is_handed_out() -> None:
    desk = Desk()
    desk.hand_out(0, 1, 2, buffered=[3, 4])
    desk.client.ends = {HERE: 25}
    assert await desk.membership.lag() == {"t[0]": 22}
    desk.client.places[HERE].has_valid_position = False
    assert await desk.membership.lag() == {}


@pytest.mark.parametrize("answers", [True, False])
async def test_who_holds_nothing_asks_whether_the_broker_answers(answers: bool) -> None:
    desk = Desk()
    desk.client.answers = answers
    if answers:
        assert await desk.membership.lag() == {}
    else:
        with pytest.raises(TransportError, match="its topics end"):
            await desk.membership.lag()


@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), TimeoutError()])
async def test_a_broker_that_does_not_answer_is_a_transport_error(error: Exception) -> None:
    desk = Desk()
    desk.hand_out(0)
    desk.client.ends = error
    with pytest.raises(TransportError, match=r"t\[0\]"):
        await desk.membership.lag()
