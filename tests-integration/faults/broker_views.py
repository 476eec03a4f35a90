"""What the brokers themselves say of a group, and what is done to them behind its back."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from brokers.local_rabbitmq import LocalRabbitMQ


def kafka_address(url: str) -> str:
    """Host and port of a Kafka URL."""
    return urlsplit(url).netloc


@asynccontextmanager
async def kafka_admin(url: str) -> AsyncGenerator[AIOKafkaAdminClient]:
    """A client that may change topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_address(url))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def kafka_places(url: str, topic: str, group: str) -> dict[int, tuple[int, int]]:
    """For each partition, where the group is by its last commit, and where the partition ends."""
    async with kafka_admin(url) as admin:
        committed = await admin.list_consumer_group_offsets(group)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_address(url))
    await consumer.start()
    try:
        numbers = consumer.partitions_for_topic(topic) or set()
        if not numbers:
            numbers = {found.partition for found in committed if found.topic == topic}
        ends = await consumer.end_offsets([TopicPartition(topic, number) for number in numbers])
    finally:
        await consumer.stop()
    return {
        found.partition: (committed[found].offset if found in committed else 0, end)
        for found, end in ends.items()
    }


class Queues:
    """The queues of one virtual host."""

    def __init__(self, node: LocalRabbitMQ, url: str) -> None:
        self._node = node
        self._vhost = urlsplit(url).path[1:]

    def counts(self, name: str) -> tuple[int, int]:
        """Ready and unacknowledged messages of one queue."""
        answer = self._node.eval(
            f"begin {{ok, Q}} = {self._found(name)}, "
            "I = rabbit_amqqueue:info(Q, [messages_ready, messages_unacknowledged]), "
            "{proplists:get_value(messages_ready, I), "
            "proplists:get_value(messages_unacknowledged, I)} end."
        )
        ready, unacknowledged = answer.strip("{}").split(",")
        return int(ready), int(unacknowledged)

    def delete(self, name: str) -> None:
        """Delete one queue, with what is in it."""
        self._node.eval(
            f"begin {{ok, Q}} = {self._found(name)}, "
            'rabbit_amqqueue:delete(Q, false, false, <<"tests">>) end.'
        )

    def _found(self, name: str) -> str:
        return f'rabbit_amqqueue:lookup(rabbit_misc:r(<<"{self._vhost}">>, queue, <<"{name}">>))'
