"""Brokers for the tests, left clean, and a word in the report on which they were."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from brokers.broker import Broker
from brokers.containers import kafka_container, rabbitmq_container
from brokers.local_kafka import LocalKafka
from brokers.local_rabbitmq import LocalRabbitMQ
from brokers.local_registry import LocalRegistry
from brokers.provision import Provision, from_url, required

pytest.register_assert_rewrite("dispytch.testing")

# An outside project with tests of its own, which run where it is installed.
collect_ignore = ["packaging/acme-broker"]


KAFKA = Provision(
    "Apache Kafka",
    {"container": kafka_container, "local": LocalKafka, "url": from_url("KAFKA_URL")},
)
RABBITMQ = Provision(
    "RabbitMQ",
    {"container": rabbitmq_container, "local": LocalRabbitMQ, "url": from_url("RABBITMQ_URL")},
)
REGISTRY = Provision(
    "a schema registry", {"local": LocalRegistry, "url": from_url("SCHEMA_REGISTRY_URL")}
)
PROVISIONS = (KAFKA, RABBITMQ, REGISTRY)
NODE = Provision("RabbitMQ of the tests' own", {"local": LocalRabbitMQ})
"""For tests that look into the broker, where the one above cannot be looked into."""


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """Apache Kafka, running."""
    yield from KAFKA.running()


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Broker]:
    """RabbitMQ, running."""
    yield from RABBITMQ.running()


@pytest.fixture(scope="session")
def registry() -> Iterator[Broker]:
    """A schema registry, running."""
    yield from REGISTRY.running()


@pytest.fixture(autouse=True)
def swept(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave nothing of a test at the brokers that it had."""
    yield
    for provision, names in {
        KAFKA: {"kafka"},
        RABBITMQ: {"rabbitmq", "node"},
        NODE: {"node"},
    }.items():
        if not names.isdisjoint(request.fixturenames):
            provision.sweep()


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Iterator[LocalRabbitMQ]:
    """A RabbitMQ node that can be killed, blocked and looked into."""
    shared = request.getfixturevalue("rabbitmq")
    if isinstance(shared, LocalRabbitMQ):
        yield shared
    else:
        for own in NODE.running():
            assert isinstance(own, LocalRabbitMQ)
            yield own


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


def pytest_configure(config: pytest.Config) -> None:
    """Have what brokers are made of here, before several processes ask for it at once."""
    if config.getoption("numprocesses", None):
        for provision in PROVISIONS:
            assert provision.what


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the first process which brokers there were not, where this is one of several."""
    said = getattr(session.config, "workeroutput", {})
    said["missed"] = {one.name: one.missed for one in PROVISIONS if one.missed}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what one of several processes says."""
    missed = getattr(node, "workeroutput", {}).get("missed", {})
    for provision in PROVISIONS:
        provision.missed = provision.missed or missed.get(provision.name)


def pytest_report_header() -> list[str]:
    """Say which brokers the tests have, and what happens to those whose broker is missing."""
    missing = f"a missing broker: {'fails' if required() else 'is skipped'}"
    return [KAFKA.what, RABBITMQ.what, missing]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly which brokers there were not."""
    for provision in PROVISIONS:
        if provision.missed:
            terminalreporter.section(f"NOT TESTED on {provision.name}", sep="!", red=True)
            terminalreporter.write_line(provision.missed)
            terminalreporter.write_line(
                "Install it (apt-get install rabbitmq-server default-jre-headless maven), run "
                "Docker, or name a running one in KAFKA_URL, RABBITMQ_URL or SCHEMA_REGISTRY_URL."
            )
