"""The Kafka backend."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, Self, Unpack

from dispytch.event_config import EventConfig
from dispytch.kafka.clients import admin
from dispytch.kafka.config import KafkaConfig, KafkaOptions
from dispytch.kafka.consumer import KafkaConsumer
from dispytch.kafka.event_config import KafkaEventConfig
from dispytch.kafka.exposure import warn_of_exposure
from dispytch.kafka.limits import Carrying
from dispytch.kafka.producer import KafkaProducer
from dispytch.kafka.rereading import reread
from dispytch.kafka.topic_names import check_pattern
from dispytch.kafka.topics import Topics
from dispytch.kafka.url import config_from_url
from dispytch.messages import Message
from dispytch.transport import Backend, Features, OnRevoke, Subscription, Topology


class KafkaBackend(Backend):
    """Apache Kafka: ``kafka://user:password@host:9092,host:9092/?option=value``.

    A topic of dispytch is a topic of Kafka, a group a consumer group. The key decides on the
    partition, as in Kafka's own clients, and each partition is kept in order. The options are
    those of `KafkaConfig`.

    Raises:
        ConfigurationError: an unknown option or a wrong value.
    """

    contract: ClassVar[int] = 1
    event_config: ClassVar[type[EventConfig] | None] = KafkaEventConfig
    features: ClassVar[Features] = Features(
        durable=True,
        history=True,
        shared_order=True,
        position_per_stream=True,
        temporary=True,
        wildcards=True,
        rereads=True,
        unroutable="keep",
        bounded=True,
        attribute_prefixes=("ce_",),
    )

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str] = "localhost:9092",
        **options: Unpack[KafkaOptions],
    ) -> None:
        self.config: KafkaConfig = KafkaConfig.of(bootstrap_servers=bootstrap_servers, **options)
        self._topics = Topics(self.config)
        warn_of_exposure(
            self.config.address,
            self.config.hosts,
            tls=self.config.tls,
            verified=self.config.tls_verify,
            has_credentials=self.config.username is not None
            or self.config.token_provider is not None,
        )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """See `Backend.from_url`; ``kafka://`` alone means ``localhost:9092``."""
        return cls(**dict(config_from_url(url)))

    def __repr__(self) -> str:
        """Where it leads, without credentials."""
        return f"<KafkaBackend {self.config.address}>"

    @property
    def send_timeout(self) -> float:
        """See `Backend.send_timeout`."""
        return self.config.send_timeout

    async def ping(self) -> None:
        """See `Backend.ping`."""
        async with admin(self.config):
            pass

    async def prepare(self, topology: Topology) -> None:
        """See `Backend.prepare`. Of patterns, it only looks whether Kafka can have such topics."""
        for pattern in topology.patterns:
            check_pattern(pattern)
        await self._topics.prepare(topology.topics, Carrying.of(topology))

    async def reread(self, stream: str, position: int) -> Message | None:
        """See `Backend.reread`. Records of transactions that were aborted are gone."""
        return await reread(self.config, stream, position)

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[KafkaProducer, None]:
        """See `Backend.producer`."""
        producer = KafkaProducer(self.config)
        await producer.connect()
        try:
            yield producer
        finally:
            await producer.close()

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncGenerator[KafkaConsumer, None]:
        """See `Backend.consumer`."""
        await self._topics.prepare(subscription.topics)
        consumer = KafkaConsumer(self.config, subscription, on_revoke)
        await consumer.join()
        try:
            yield consumer
        finally:
            await consumer.close()
