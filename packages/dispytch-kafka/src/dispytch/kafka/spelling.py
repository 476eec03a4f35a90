"""How partitions are called in messages to people."""

from dispytch.kafka.driver_types import TopicPartition


def stream_of(partition: TopicPartition) -> str:
    """The name of a partition's stream, as in ``orders[3]``."""
    topic, number = partition
    return f"{topic}[{number}]"
