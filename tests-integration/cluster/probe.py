"""What the cluster itself can do at each moment, as another client sees it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer

_EVERY: Final = 0.1
_OPTIONS: Final[dict[str, Any]] = {
    "acks": "all",
    "linger.ms": 0,
    "message.timeout.ms": 2_000,
    "socket.timeout.ms": 2_000,
    "topic.metadata.refresh.interval.ms": 1_000,
    "reconnect.backoff.max.ms": 500,
    "log_level": 0,
}


class ClusterProbe:
    """Writes a record to each partition of a topic of its own, again and again.

    ``longest`` is the longest time, in seconds, for which some partition took none.
    """

    def __init__(self, addresses: str, topic: str, partitions: int) -> None:
        self._producer = Producer({**_OPTIONS, "bootstrap.servers": addresses})
        self._topic = topic
        self._last = dict.fromkeys(range(partitions), time.monotonic())
        self.longest = 0.0

    def begin(self) -> None:
        """Count from now on: a topic that was just made is not known everywhere at once."""
        self._last = dict.fromkeys(self._last, time.monotonic())
        self.longest = 0.0

    async def watch(self) -> None:
        """Write until cancelled."""
        while True:
            for partition in self._last:
                self._producer.produce(
                    self._topic, b"x", partition=partition, on_delivery=self._told
                )
            self._producer.poll(0)
            await asyncio.sleep(_EVERY)

    def _told(self, error: object, message: Any) -> None:
        if error is None:
            partition, now = message.partition(), time.monotonic()
            self.longest = max(self.longest, now - self._last[partition])
            self._last[partition] = now


@asynccontextmanager
async def probing(addresses: str, topic: str, partitions: int = 3) -> AsyncGenerator[ClusterProbe]:
    """Watch the cluster meanwhile."""
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 3)])
    finally:
        await admin.close()
    probe = ClusterProbe(addresses, topic, partitions)
    watching = asyncio.create_task(probe.watch())
    try:
        yield probe
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
