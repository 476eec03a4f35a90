"""A virtual host for each test."""

import pytest
from brokers.local_rabbitmq import LocalRabbitMQ


@pytest.fixture
def url(node: LocalRabbitMQ) -> str:
    return node.make_vhost()
