"""Record batches as no producer of aiokafka writes them: headers whose names are any bytes."""

import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

_TIMEOUT_MS: Final = 10_000

RawHeader = tuple[bytes, bytes | None]


class RawKafka:
    """Writes single records to partitions."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def send(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        headers: Sequence[RawHeader],
        *,
        timestamp: int = -1,
    ) -> None:
        """Write one record, confirmed.

        Raises:
            AssertionError: the broker does not take it.
        """
        await self._client.force_metadata_update()
        leader = self._client.cluster.leader_for_partition(_partition(topic, partition))
        batch = _batch(_record(value, headers), timestamp)
        topics = [(topic, [(partition, batch)])]
        answer: Any = await self._client.send(leader, ProduceRequest(None, -1, _TIMEOUT_MS, topics))
        code = answer.topics[0][1][0][1]
        assert code == 0, f"the broker answers {code}"


@asynccontextmanager
async def raw_kafka(address: str, *topics: str) -> AsyncGenerator[RawKafka]:
    """Connect."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        await client.set_topics(topics)
        yield RawKafka(client)
    finally:
        await client.close()


def _partition(topic: str, number: int) -> Any:
    from aiokafka.structs import TopicPartition

    return TopicPartition(topic, number)


def _record(value: bytes | None, headers: Sequence[RawHeader]) -> bytes:
    named = b"".join(_sized(name) + _sized(content) for name, content in headers)
    body = b"\x00\x00\x00" + _sized(None) + _sized(value) + _varint(len(headers)) + named
    return _varint(len(body)) + body


def _batch(record: bytes, timestamp: int) -> bytes:
    head = struct.pack(">hiqqqhii", 0, 0, timestamp, timestamp, -1, -1, -1, 1)
    checked = head + record
    rest = struct.pack(">ibI", 0, 2, calc_crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(rest)) + rest


def _sized(data: bytes | None) -> bytes:
    return _varint(-1) if data is None else _varint(len(data)) + data


def _varint(number: int) -> bytes:
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left >= 0x80:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])
