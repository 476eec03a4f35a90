"""One record, read again by its place."""

import asyncio
from typing import Final

from dispytch.exceptions import TransportError
from dispytch.kafka.clients import admin, new_reader, stopped
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import partition_of, place_of
from dispytch.kafka.driver_types import ConsumerClient, Record, TopicPartition
from dispytch.kafka.failures import KafkaError
from dispytch.kafka.link import Link
from dispytch.kafka.reading import Reading
from dispytch.kafka.records import BrokenRecord
from dispytch.messages import Message

_POLL_MS: Final = 200
_DIGITS: Final = 10


async def reread(config: KafkaConfig, stream: str, position: int) -> Message | None:
    """The record at an offset of a partition, given as ``orders[3]``; None when it is gone.

    It is gone, too, where nothing of it can be read.

    Raises:
        TransportError: the broker does not answer.
    """
    partition = _partition(stream)
    if partition is None:
        return None
    try:
        async with asyncio.timeout(config.request_timeout):
            record = await _found(config, partition, position)
    except (KafkaError, TimeoutError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else error
        raise TransportError(
            f"Kafka at {config.address} does not tell what lies at offset {position} of {stream}: "
            f"{why}"
        ) from error
    if record is None or (isinstance(record, BrokenRecord) and record.value is None):
        return None
    return Message(partition.topic, record.value, record.key, record.headers)


def _partition(stream: str) -> TopicPartition | None:
    topic, bracket, number = stream.removesuffix("]").rpartition("[")
    if not bracket or not _is_number(number):
        return None
    return partition_of(topic, int(number))


def _is_number(text: str) -> bool:
    # Anybody may have written it; Python refuses to read thousands of digits.
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


async def _found(config: KafkaConfig, partition: TopicPartition, position: int) -> Record | None:
    async with admin(config) as client:
        (topic,) = await client.describe_topics([partition.topic])
    if partition.partition not in [one["partition"] for one in topic["partitions"]]:
        return None
    reading = Reading(config.max_batch_bytes)
    reader = await new_reader(config, reading, Link(config.address))
    try:
        return await _record(reader, partition, position)
    finally:
        await stopped(reader)


async def _record(
    client: ConsumerClient, partition: TopicPartition, position: int
) -> Record | None:
    client.assign([partition])
    ends = await client.end_offsets([partition])
    if position >= ends[partition]:
        return None
    client.seek(partition, position)
    while True:
        found = await client.getmany(partition, timeout_ms=_POLL_MS, max_records=1)
        for record in found.get(partition, ()):
            return record if record.offset == position else None
        # Where nothing is left but markers of transactions, no record will ever come.
        if (place := place_of(client, partition)) is not None and place > position:
            return None
