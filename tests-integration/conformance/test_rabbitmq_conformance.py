"""The RabbitMQ backend keeps dispytch's promises on a real broker."""

import asyncio

import pytest
from brokers.broker import Broker

from dispytch.messages import Message
from dispytch.testing.conformance import Conformance, RestartBroker

QUORUM_SETTLES = 6.0
"""Seconds that a quorum queue must have stood before its node may be killed."""


class TestRabbitMQ(Conformance):
    """The whole kit."""

    quiet = 0.5
    repeats_headers = False

    @pytest.fixture
    def url(self, rabbitmq: Broker) -> str:
        """The broker that all tests share."""
        return rabbitmq.url

    @pytest.fixture
    def restart_broker(self, rabbitmq: Broker) -> RestartBroker:
        """SIGKILL, and up again on the same data."""

        async def restart() -> None:
            await asyncio.sleep(QUORUM_SETTLES)
            await asyncio.to_thread(rabbitmq.kill)
            await asyncio.to_thread(rabbitmq.start)

        return restart

    def unsendable(self, topic: str) -> Message | None:
        """A message for a topic that no group has a queue for, and that is not to be kept."""
        return Message(f"{topic}.nobody", b"", b"key", needs_reader=True)


class TestPartitionedRabbitMQ(TestRabbitMQ):
    """The whole kit, where the order holds while a group has several members."""

    @pytest.fixture
    def url(self, rabbitmq: Broker) -> str:
        """Groups have three partitions of each topic."""
        return f"{rabbitmq.url}?partitions=3"

    @pytest.fixture
    def restart_broker(self) -> None:
        """Not promised: the plugin numbers the queues anew, so keys change their partition."""
