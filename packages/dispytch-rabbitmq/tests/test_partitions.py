"""Partitions: what they are called, what they are declared with, and how they are shared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch.exceptions import ConfigurationError, TopologyError
from dispytch.rabbitmq import RabbitMQBackend
from dispytch.rabbitmq.config import configure_from_url
from dispytch.rabbitmq.partitions import share
from dispytch.rabbitmq.topology import group_queues, roster_name


def test_each_partition_is_a_queue_with_a_single_active_consumer() -> None:
    queues = group_queues(("a:b",), "g", "quorum", None, 3)
    assert [queue.name for queue in queues] == ["a.b.#.0:g", "a.b.#.1:g", "a.b.#.2:g"]
    assert {queue.topic for queue in queues} == {"a:b"}
    assert {queue.hash_exchange for queue in queues} == {"a.b:g"}
    assert all(queue.arguments["x-single-active-consumer"] is True for queue in queues)
    # Without a limit of its own, a quorum queue puts what comes back behind what is newer.
    assert all(queue.arguments["x-delivery-limit"] > 10**9 for queue in queues)


def test_without_partitions_there_is_one_queue_that_all_consume() -> None:
    (queue,) = group_queues(("t",), "g", "quorum", None)
    assert queue.hash_exchange is None
    assert "x-single-active-consumer" not in queue.arguments


def test_no_partition_is_the_queue_of_another_group_or_the_roster() -> None:
    queues = group_queues(("t",), "g", "quorum", None, 5)
    assert roster_name("t:g") not in {queue.name for queue in queues}
    for queue in queues:
        topic, _, group = queue.name.partition(":")
        with pytest.raises(TopologyError, match="stand for other words"):
            group_queues((topic,), group, "quorum", None)


@given(st.integers(1, 100), st.integers(1, 100))
def test_the_members_can_hold_all_partitions_and_each_its_share(
    partitions: int, members: int
) -> None:
    most = share(partitions, members)
    assert most * members >= partitions
    assert (most - 1) * members < partitions


def test_with_partitions_the_order_is_kept_among_members() -> None:
    assert RabbitMQBackend(partitions=4).features.shared_order
    assert RabbitMQBackend.from_url("amqp://h?partitions=4").features.shared_order
    assert not RabbitMQBackend().features.shared_order
    assert not RabbitMQBackend.features.shared_order


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1001"])
def test_a_wrong_number_of_partitions_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="partitions"):
        configure_from_url(f"amqp://h?partitions={wrong}")
