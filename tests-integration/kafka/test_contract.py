"""The Kafka backend keeps the transport contract on a real broker."""

import pytest
from brokers.broker import Broker

from dispytch.kafka import KafkaBackend
from dispytch.messages import Message
from dispytch.testing.transport import TransportContract


class TestKafkaTransport(TransportContract):
    """Every test of the contract."""

    quiet = 1.0

    @pytest.fixture
    def backend(self, kafka: Broker) -> KafkaBackend:
        """A backend for the broker that all tests share."""
        return KafkaBackend.from_url(f"{kafka.url}?partitions=4&metadata_max_age=0.5")

    def unsendable(self, topic: str) -> Message | None:
        """A message above the broker's size limit of 1 MiB."""
        return Message(topic, b"x" * 2_000_000, b"key")
