"""Record batches as no producer of aiokafka writes them, sent as they are."""

import gzip
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import TopicPartition
from brokers import kafka_batches as made
from soak.hostile import CANARY

_TIMEOUT_MS: Final = 10_000
_VALUE: Final = f'{{"number":"{CANARY}"}}'.encode()
_ODD: Final = [(b"\xff\xfe", b"a"), (b"type", b"step"), (b"null", None)]
_BOMB: Final = 40_000_000

BATCHES: Final[Sequence[bytes]] = (
    made.batch(made.record(0, _VALUE, headers=_ODD)),
    made.batch(made.record(0, _VALUE, headers=_ODD), packed=made.ZSTD),
    made.batch(made.record(0, _VALUE, headers=_ODD), packed=made.LZ4),
    made.batch(made.record(0, _VALUE, headers=_ODD), packed=made.SNAPPY),
    made.batch(made.record(0, _VALUE, headers=_ODD), packed=made.GZIP),
    made.batch(made.record(0, None, key=None, headers=_ODD)),
    made.batch(
        made.record(0), packed=made.GZIP, payload=gzip.compress(made.record(0, bytes(_BOMB)))
    ),
)
"""Each with one record."""


class RawKafka:
    """Writes batches to a partition."""

    def __init__(self, client: AIOKafkaClient, topic: str) -> None:
        self._client = client
        self._topic = topic

    async def send(self, batch: bytes, partition: int = 0) -> None:
        """Write one batch, confirmed.

        Raises:
            AssertionError: the broker does not take it.
        """
        place = TopicPartition(self._topic, partition)
        leader = self._client.cluster.leader_for_partition(place)
        topics = [(self._topic, [(partition, batch)])]
        answer: Any = await self._client.send(leader, ProduceRequest(None, -1, _TIMEOUT_MS, topics))
        ((_, ((_, code, *_),)),) = answer.topics
        assert code == 0, f"the broker answers {code}"


@asynccontextmanager
async def raw_kafka(address: str, topic: str) -> AsyncGenerator[RawKafka]:
    """Connect."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        await client.force_metadata_update()
        yield RawKafka(client, topic)
    finally:
        await client.close()
