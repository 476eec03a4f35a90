"""The cluster: one for all tests of this folder, made well again after each."""

from collections.abc import Iterator

import pytest
from brokers.broker import BrokerUnavailable
from brokers.provision import required
from cluster.kafka_cluster import KafkaCluster


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[KafkaCluster]:
    """Three nodes."""
    try:
        made = KafkaCluster()
    except BrokerUnavailable as reason:
        if required():
            raise
        pytest.skip(f"cannot be had: {reason}")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def cluster(running_cluster: KafkaCluster) -> Iterator[KafkaCluster]:
    """Three nodes, all well."""
    running_cluster.heal()
    yield running_cluster
    running_cluster.heal()
