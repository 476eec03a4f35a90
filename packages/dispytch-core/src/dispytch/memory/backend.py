"""The in-memory backend."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import ClassVar, Self

from dispytch.exceptions import TopologyError
from dispytch.memory.broker import MemoryBroker
from dispytch.memory.config import MemoryConfig
from dispytch.memory.consumer import MemoryConsumer
from dispytch.memory.producer import MemoryProducer
from dispytch.memory.topic import Topic
from dispytch.messages import Message
from dispytch.transport import (
    Backend,
    Declare,
    Features,
    OnRevoke,
    Producer,
    Subscription,
    Topology,
)


class MemoryBackend(Backend):
    """A broker within the process: ``memory://name?partitions=4&retention=100000``.

    Backends of one name share its topics, records and groups, in whatever event loop they run.
    A topic is a number of partitions; the key decides on the partition, which is kept in order.
    A full partition discards its oldest record once every group that reads it has settled that;
    until then `send` waits. A message with a delay is kept until it is due, beside the partitions.

    name: which broker of the process.
    partitions: how many partitions a new topic gets.
    retention: how many records each of them holds at most.
    send_timeout: how many seconds `send` waits for room.
    declare: what becomes of missing topics.
    broker: one of its own in place of the one of that name, as for a test.

    Raises:
        ConfigurationError: a value that makes no sense.
    """

    contract: ClassVar[int] = 1
    features: ClassVar[Features] = Features(
        durable=False,
        history=True,
        shared_order=True,
        temporary=True,
        delay=True,
        wildcards=True,
        rereads=True,
        unroutable="keep",
        bounded=True,
        attribute_prefixes=("ce_",),
    )

    def __init__(
        self,
        name: str = "default",
        *,
        partitions: int = 4,
        retention: int = 100_000,
        send_timeout: float = 10.0,
        declare: Declare = "auto",
        broker: MemoryBroker | None = None,
    ) -> None:
        self.config: MemoryConfig = MemoryConfig.of(
            name=name,
            partitions=partitions,
            retention=retention,
            send_timeout=send_timeout,
            declare=declare,
        )
        self._broker = MemoryBroker.named(name) if broker is None else broker

    @classmethod
    def from_url(cls, url: str) -> Self:
        """See `Backend.from_url`; ``memory://`` alone means the broker named ``default``."""
        return cls(**dict(MemoryConfig.from_url(url)))

    @property
    def send_timeout(self) -> float:
        """See `Backend.send_timeout`."""
        return self.config.send_timeout

    async def ping(self) -> None:
        """Return: a broker in this process always answers."""

    async def prepare(self, topology: Topology) -> None:
        """See `Backend.prepare`."""
        if self.config.declare != "never":
            self._topics(topology.topics)

    async def reread(self, stream: str, position: int) -> Message | None:
        """See `Backend.reread`."""
        return self._broker.reread(stream, position)

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[Producer, None]:
        """See `Backend.producer`."""
        producer = MemoryProducer(self._broker, self.config)
        try:
            yield producer
        finally:
            await producer.idle()

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncGenerator[MemoryConsumer, None]:
        """See `Backend.consumer`."""
        topics = self._topics(subscription.topics)
        consumer = MemoryConsumer(self._broker, subscription, on_revoke)
        consumer.join(topics)
        try:
            yield consumer
        finally:
            await consumer.close()

    def _topics(self, names: tuple[str, ...]) -> list[Topic]:
        found = {name: self._broker.topic(name, self.config) for name in names}
        missing = [name for name, topic in found.items() if topic is None]
        if missing:
            raise TopologyError(
                f"the in-memory broker {self.config.name!r} has no topics {missing}, and "
                f"declare={self.config.declare!r} makes none; declare them elsewhere, or set "
                "declare='auto'"
            )
        return [topic for topic in found.values() if topic is not None]
