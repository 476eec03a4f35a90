"""Kafka by hand, with aiokafka."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import TypeAdapter

from dispytch.kafka import KafkaBackend

from ..orders import Order
from ..stopwatch import Stopwatch
from . import Send


class RawKafka:
    """aiokafka's `getmany`, a commit per batch; and its idempotent `send`, all acks awaited."""

    name = "aiokafka"

    def __init__(self, url: str) -> None:
        self._servers = list(KafkaBackend.from_url(url).config.bootstrap_servers)

    async def consume(self, topic: str, group: str, events: int) -> float:
        """See `Raw`."""
        stopwatch, adapter = Stopwatch(events), TypeAdapter(Order)
        async with AIOKafkaConsumer(
            topic,
            bootstrap_servers=self._servers,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        ) as consumer:
            while stopwatch.running:
                batches = await consumer.getmany(timeout_ms=200, max_records=500)
                for records in batches.values():
                    for record in records:
                        await stopwatch.handle(adapter.validate_json(record.value))
                if batches:
                    await consumer.commit(
                        {part: records[-1].offset + 1 for part, records in batches.items()}
                    )
            return await stopwatch.seconds()

    @asynccontextmanager
    async def sender(self, topic: str) -> AsyncIterator[Send]:
        """See `Raw`."""
        async with AIOKafkaProducer(
            bootstrap_servers=self._servers, enable_idempotence=True, acks="all"
        ) as producer:

            async def send(orders: Sequence[Order]) -> None:
                confirmations = [
                    await producer.send(
                        topic, order.model_dump_json().encode(), key=order.customer.encode()
                    )
                    for order in orders
                ]
                await asyncio.gather(*confirmations)

            yield send

    async def forget(self, topic: str, group: str) -> None:
        """See `Raw`."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:
            await admin.delete_topics([topic])
        finally:
            await admin.close()
