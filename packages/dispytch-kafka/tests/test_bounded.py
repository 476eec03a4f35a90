from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError

from dispytch.exceptions import TransportError
from dispytch.kafka import bounded
from dispytch.kafka.config import KafkaConfig


class Admin:
    """A broker that answers with these errors first, and then that a group has no members."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def describe_consumer_groups(self, group_ids: list[str]) -> list[Any]:
        if self.errors:
            raise self.errors.pop(0)
        return [self]

    def to_object(self) -> dict[str, Any]:
        return {"groups": [{"members": []}]}


def with_broker(monkeypatch: pytest.MonkeyPatch, broker: Admin) -> None:
    @asynccontextmanager
    async def admin(config: KafkaConfig) -> AsyncGenerator[Admin]:
        yield broker

    monkeypatch.setattr(bounded, "admin", admin)


async def test_a_broker_that_has_never_had_a_group_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_broker(monkeypatch, Admin(GroupCoordinatorNotAvailableError()))
    assert await bounded.members_of("billing", KafkaConfig()) == []


async def test_one_that_refuses_to_tell_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with_broker(monkeypatch, Admin(GroupAuthorizationFailedError()))
    with pytest.raises(TransportError, match="did not tell who reads in group 'billing'"):
        await bounded.members_of("billing", KafkaConfig())
