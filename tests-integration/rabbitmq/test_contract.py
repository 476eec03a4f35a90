"""The RabbitMQ backend keeps the transport contract on a real broker."""

import pytest
from brokers.broker import Broker

from dispytch.messages import Message
from dispytch.rabbitmq import RabbitMQBackend
from dispytch.testing.transport import TransportContract


class TestRabbitMQTransport(TransportContract):
    """Every test of the contract."""

    quiet = 0.5
    repeats_headers = False

    @pytest.fixture
    def backend(self, rabbitmq: Broker) -> RabbitMQBackend:
        """A backend for the broker that all tests share."""
        return RabbitMQBackend.from_url(rabbitmq.url)

    def unsendable(self, topic: str) -> Message | None:
        """A message for a topic that no group has a queue for."""
        return Message(f"{topic}.nobody", b"", b"key")


class TestPartitionedRabbitMQTransport(TestRabbitMQTransport):
    """Every test of the contract, where the order holds while a group has several members."""

    @pytest.fixture
    def backend(self, rabbitmq: Broker) -> RabbitMQBackend:
        """A backend whose groups have four partitions of each topic."""
        return RabbitMQBackend.from_url(f"{rabbitmq.url}?partitions=4")
