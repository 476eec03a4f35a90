"""A broker of which tests may do what they like."""

from collections.abc import Iterator

import pytest
from brokers.local_rabbitmq import LocalRabbitMQ
from brokers.provision import Provision


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Iterator[LocalRabbitMQ]:
    """A node that can be killed, blocked and looked into."""
    shared = request.getfixturevalue("rabbitmq")
    if isinstance(shared, LocalRabbitMQ):
        yield shared
    else:
        for own in Provision("RabbitMQ of the tests' own", {"local": LocalRabbitMQ}).running():
            assert isinstance(own, LocalRabbitMQ)
            yield own


@pytest.fixture
def url(node: LocalRabbitMQ) -> str:
    return node.make_vhost()
