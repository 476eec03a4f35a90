"""The Kafka backend keeps dispytch's promises on a real broker."""

import asyncio

import pytest
from brokers.broker import Broker

from dispytch.messages import Message
from dispytch.testing.conformance import Conformance, RestartBroker


class TestKafka(Conformance):
    """The whole kit."""

    quiet = 0.5

    @pytest.fixture
    def url(self, kafka: Broker) -> str:
        """The broker that all tests share; it notices early that a member was killed."""
        return f"{kafka.url}?partitions=4&session_timeout=6&metadata_max_age=0.5"

    @pytest.fixture
    def restart_broker(self, kafka: Broker) -> RestartBroker:
        """SIGKILL, and up again on the same data."""

        async def restart() -> None:
            await asyncio.to_thread(kafka.kill)
            await asyncio.to_thread(kafka.start)

        return restart

    def unsendable(self, topic: str) -> Message | None:
        """A message above the broker's size limit of 1 MiB."""
        return Message(topic, b"x" * 2_000_000, b"key")
