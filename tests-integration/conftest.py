"""Brokers for the tests, and a word in the report on which they were."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from brokers import provision
from brokers.broker import Broker
from brokers.containers import kafka_container, rabbitmq_container
from brokers.local_kafka import LocalKafka
from brokers.local_rabbitmq import LocalRabbitMQ

pytest.register_assert_rewrite("dispytch.testing")

# An outside project with tests of its own, which run where it is installed.
collect_ignore = ["packaging/acme-broker"]


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """Apache Kafka, running."""
    ways: dict[str, provision.Way] = {
        "container": kafka_container,
        "local": LocalKafka,
        "url": provision.from_url("KAFKA_URL"),
    }
    yield from provision.provided("Apache Kafka", ways)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Broker]:
    """RabbitMQ, running."""
    ways: dict[str, provision.Way] = {
        "container": rabbitmq_container,
        "local": LocalRabbitMQ,
        "url": provision.from_url("RABBITMQ_URL"),
    }
    yield from provision.provided("RabbitMQ", ways)


@pytest.fixture
def unique() -> str:
    """A short text that no other test has, for names at a shared broker."""
    return uuid4().hex[:12]


@pytest.fixture(params=["memory", "kafka", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest, unique: str) -> str:
    """The URL of each backend in turn."""
    if request.param == "memory":
        return f"memory://{unique}"
    broker: Broker = request.getfixturevalue(request.param)
    return broker.url


def pytest_report_header() -> str:
    """Say what happens to tests whose broker is missing."""
    return f"a missing broker: {'fails' if provision.required() else 'is skipped'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which brokers there were, and loudly which there were not."""
    for name, what in provision.had.items():
        terminalreporter.write_line(f"{name}: {what}")
    for name, why in provision.skipped.items():
        terminalreporter.section(f"NOT TESTED on {name}", sep="!", red=True)
        terminalreporter.write_line(why)
        terminalreporter.write_line(
            "Install it (apt-get install rabbitmq-server default-jre-headless maven), run Docker, "
            "or name a running one in KAFKA_URL or RABBITMQ_URL."
        )
