"""The brokers of the fault tests, which are killed, and the scene of each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers.broker import Broker
from brokers.local_rabbitmq import LocalRabbitMQ
from faults.scene import Scene

PARTITIONS = 4
SESSION_TIMEOUT = 2
"""Seconds after which Kafka gives the partitions of a killed process to others."""


@pytest.fixture
def on_kafka(kafka: Broker, unique: str, tmp_path: Path) -> Iterator[Scene]:
    """A scene on Kafka."""
    url = f"{kafka.url}?partitions={PARTITIONS}&session_timeout={SESSION_TIMEOUT}"
    yield from _playing(Scene(url, f"steps-{unique}", f"walkers-{unique}", tmp_path))


@pytest.fixture
def on_rabbitmq(node: LocalRabbitMQ, unique: str, tmp_path: Path) -> Iterator[Scene]:
    """A scene on RabbitMQ, in a virtual host of its own."""
    yield from _playing(Scene(node.make_vhost(), f"steps.{unique}", "walkers", tmp_path))


@pytest.fixture(params=["kafka", "rabbitmq"])
def scene(request: pytest.FixtureRequest) -> Scene:
    """A scene on each broker in turn."""
    made: Scene = request.getfixturevalue(f"on_{request.param}")
    return made


@pytest.fixture
def broker(request: pytest.FixtureRequest, scene: Scene) -> Broker:
    """The broker of the scene."""
    found: Broker = request.getfixturevalue("kafka" if scene.is_kafka else "node")
    return found


def _playing(scene: Scene) -> Iterator[Scene]:
    try:
        yield scene
    finally:
        scene.close()
