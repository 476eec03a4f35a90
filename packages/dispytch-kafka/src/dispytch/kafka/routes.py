"""Which partition a message belongs to."""

from collections.abc import Collection
from typing import Final

from dispytch.exceptions import TransportError
from dispytch.kafka.driver import partition_for
from dispytch.kafka.event_config import KafkaEventConfig
from dispytch.messages import Message
from dispytch.short_names import is_short

_REMEMBERED: Final = 100_000


class Route:
    """The partitions of one topic, and the way of each message to one of them.

    The key decides, by the hash that Kafka's own clients use. Messages without a key go round.
    """

    def __init__(self, topic: str, partitions: Collection[int]) -> None:
        self._topic = topic
        self._partitions = sorted(partitions)
        self._of_key: dict[bytes, int] = {}
        self._turn = 0

    def fits(self, partitions: Collection[int]) -> bool:
        """Whether the topic still has these partitions and no others."""
        return len(partitions) == len(self._partitions)

    def partition(self, message: Message) -> int:
        """Where this message goes.

        Raises:
            TransportError: it asks for a partition that the topic does not have.
        """
        config, key = message.config, message.key
        if config is not None and isinstance(config, KafkaEventConfig):
            if config.partition is not None:
                return self._checked(config.partition)
            if config.partition_key is not None:
                key = config.partition_key.encode()
        return self._next() if key is None else self._hashed(key)

    def _checked(self, partition: int) -> int:
        if partition not in self._partitions:
            raise TransportError(
                f"the topic {self._topic!r} has no partition {partition}, but "
                f"{len(self._partitions)} of them, from 0; give it more, or change the event's "
                "KafkaEventConfig"
            )
        return partition

    def _next(self) -> int:
        self._turn = (self._turn + 1) % len(self._partitions)
        return self._partitions[self._turn]

    def _hashed(self, key: bytes) -> int:
        if not is_short(key):
            return partition_for(key, self._partitions)
        partition = self._of_key.get(key)
        if partition is None:
            if len(self._of_key) >= _REMEMBERED:
                self._of_key.clear()
            partition = self._of_key[key] = partition_for(key, self._partitions)
        return partition
