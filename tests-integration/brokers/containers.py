"""Brokers in containers, where Docker answers."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

import docker
from brokers.broker import BrokerUnavailable
from docker.errors import APIError, DockerException
from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.rabbitmq import RabbitMqContainer

KAFKA_IMAGE = "confluentinc/cp-kafka:8.1.0"
RABBITMQ_IMAGE = "rabbitmq:4.1"
ANSWER_TIMEOUT = 60.0


class Container(Protocol):
    """What is used of a container of testcontainers."""

    def start(self) -> Any:
        """Run it."""

    def stop(self) -> None:
        """Remove it."""

    def get_wrapped_container(self) -> Any:
        """Docker's own object for it."""


class ContainerBroker:
    """A broker in a container, on one port of this machine that outlives a kill."""

    def __init__(self, container: Container, url: str, port: int, image: str) -> None:
        self._container = container
        self._port = port
        self._made = False
        self.url = url
        self.version = image
        self.provenance = "container"

    def start(self) -> None:
        """See `Broker.start`."""
        if not self._made:
            self._container.start()
            self._made = True
        else:
            self._container.get_wrapped_container().start()
        _wait_until_open(self._port)

    def kill(self) -> None:
        """See `Broker.kill`."""
        with contextlib.suppress(APIError):
            self._container.get_wrapped_container().kill()

    def sweep(self) -> None:
        """See `Broker.sweep`; a container is left as it is."""
        self.start()

    def stop(self) -> None:
        """See `Broker.stop`."""
        if self._made:
            self._container.stop()
            self._made = False


def kafka_container() -> ContainerBroker:
    """Kafka in a container, not started yet.

    Raises:
        BrokerUnavailable: Docker does not answer.
    """

    def made(port: int) -> KafkaContainer:
        container = KafkaContainer(KAFKA_IMAGE).with_kraft().with_bind_ports(9093, port)
        container.with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        container.with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        return container.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")

    return _broker(made, "kafka://127.0.0.1:{port}", KAFKA_IMAGE)


def rabbitmq_container() -> ContainerBroker:
    """RabbitMQ in a container, not started yet.

    Raises:
        BrokerUnavailable: Docker does not answer.
    """

    def made(port: int) -> RabbitMqContainer:
        return RabbitMqContainer(RABBITMQ_IMAGE).with_bind_ports(5672, port)

    return _broker(made, "rabbitmq://guest:guest@127.0.0.1:{port}/", RABBITMQ_IMAGE)


def _broker(made: Callable[[int], Container], url: str, image: str) -> ContainerBroker:
    _require_docker()
    port = _free_port()
    return ContainerBroker(made(port), url.format(port=port), port, image)


def _require_docker() -> None:
    # A `docker` command on the path proves nothing; only an answer does.
    try:
        client = docker.from_env(timeout=2)
        client.ping()
    except (DockerException, OSError) as error:
        raise BrokerUnavailable(f"Docker does not answer: {error}") from error
    client.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise BrokerUnavailable(f"nothing listens on port {port} after {ANSWER_TIMEOUT:.0f} s")
