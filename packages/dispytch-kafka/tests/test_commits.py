import asyncio
from collections.abc import Collection
from typing import Any, cast

import pytest
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalGenerationError,
    RebalanceInProgressError,
)

from dispytch.kafka.commits import Commits
from dispytch.kafka.driver import partition_of
from dispytch.kafka.driver_types import ConsumerClient, TopicPartition
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases


class FakeClient:
    def __init__(self) -> None:
        self.committed: list[dict[TopicPartition, int]] = []
        self.errors: list[Exception] = []

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        self.committed.append(offsets)


class Desk:
    """Commits of one lease with ten deliveries, beside what they did."""

    def __init__(self) -> None:
        self.client = FakeClient()
        self.leases = Leases(100)
        self.partition = partition_of("t", 0)
        self.leases.assign([self.partition])
        (self.lease,) = self.leases
        self.lease.offsets.hand_out(range(10))
        self.lost: list[KafkaLease] = []
        self.commits = Commits(cast(ConsumerClient, self.client), self.leases, self._lose)

    def _lose(self, leases: Collection[KafkaLease]) -> None:
        self.lost += leases
        self.leases.end(leases)


def _failed(cause: type[Exception]) -> CommitFailedError:
    error = CommitFailedError()
    error.__cause__ = cause()
    return error


async def test_only_what_has_changed_is_committed() -> None:
    desk = Desk()
    for offset in (0, 1, 5):
        desk.lease.offsets.settle(offset)
    assert await desk.commits.commit()
    assert await desk.commits.commit()
    desk.lease.offsets.settle(2)
    assert await desk.commits.commit()
    assert desk.client.committed == [{desk.partition: 2}, {desk.partition: 3}]


async def test_flush_tries_again_until_the_broker_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispytch.kafka.commits._PAUSE", 0)
    desk = Desk()
    desk.client.errors += [TimeoutError(), _failed(RebalanceInProgressError)]
    await desk.commits.flush(60)
    assert desk.client.committed == [{desk.partition: 0}]
    assert desk.lost == []


async def test_flush_gives_up_when_the_session_is_over() -> None:
    desk = Desk()
    desk.client.errors += [TimeoutError()]
    await desk.commits.flush(0)
    assert desk.lost == [desk.lease]


async def test_a_lost_membership_ends_the_leases() -> None:
    desk = Desk()
    desk.client.errors += [_failed(IllegalGenerationError)]
    await desk.commits.flush(60)
    assert desk.lost == [desk.lease]
    assert desk.client.committed == []


async def test_what_may_not_be_committed_is_no_matter_of_time() -> None:
    desk = Desk()
    desk.client.errors += [GroupAuthorizationFailedError("g")]
    with pytest.raises(GroupAuthorizationFailedError):
        await desk.commits.flush(60)


async def test_one_commit_is_under_way_at_a_time() -> None:
    desk = Desk()
    running = 0

    async def commit(offsets: Any) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1
        desk.lease.offsets.settle(desk.lease.offsets.position or 0)

    desk.client.commit = commit  # type: ignore[method-assign]
    await asyncio.gather(*(desk.commits.commit() for _ in range(5)))
