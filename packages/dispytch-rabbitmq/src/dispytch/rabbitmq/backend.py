"""RabbitMQ as a backend of dispytch."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar, Self, TypedDict, Unpack

from dispytch.event_config import EventConfig
from dispytch.exceptions import BrokerUnreachable, TopologyError
from dispytch.rabbitmq.config import RabbitMQConfig, configure, configure_from_url, queues_of
from dispytch.rabbitmq.consumer import RabbitMQConsumer
from dispytch.rabbitmq.declaring import (
    declare_exchange,
    declare_queue,
    declare_roster,
    unbind_former,
)
from dispytch.rabbitmq.driver import Channel, close_channel
from dispytch.rabbitmq.event_config import RabbitMQEventConfig
from dispytch.rabbitmq.exposure import warn_of_exposure
from dispytch.rabbitmq.failures import AmqpError
from dispytch.rabbitmq.lag import ready_messages
from dispytch.rabbitmq.link import Link
from dispytch.rabbitmq.producer import RabbitMQProducer
from dispytch.rabbitmq.repeating import BROKER_HEADERS
from dispytch.rabbitmq.takeover import make_queues
from dispytch.rabbitmq.topology import (
    GroupQueue,
    QueueType,
    check_patterns,
    check_topics,
    other_queues,
    owner,
    roster_name,
)
from dispytch.transport import (
    Backend,
    Consumer,
    Declare,
    Features,
    IfUnroutable,
    OnRevoke,
    Producer,
    Subscription,
    Topology,
)

logger: logging.Logger = logging.getLogger("dispytch.rabbitmq")


class RabbitMQOptions(TypedDict, total=False):
    """The options of `RabbitMQBackend`; `RabbitMQConfig` says what each means."""

    host: str
    port: int
    vhost: str
    user: str
    password: str
    tls: bool
    cafile: str
    certfile: str
    keyfile: str
    verify: bool
    exchange: str
    queue_type: QueueType
    delivery_limit: int | None
    partitions: int | None
    unroutable: IfUnroutable
    declare: Declare
    heartbeat: int
    connect_timeout: float
    send_timeout: float
    connection_name: str


class RabbitMQBackend(Backend):
    """RabbitMQ 3.10 and later, over AMQP 0-9-1.

    All messages go through one durable topic exchange; a topic is a routing key, a pattern a
    binding. Each group has a durable queue per topic or pattern, a quorum queue unless told
    otherwise, so each group receives every message once and its members share the work; with
    ``partitions`` it has several, so that the order of a key holds among them. Nothing may stay
    unsettled beyond the broker's ``consumer_timeout``, 30 minutes by default: ``hold_limit`` is
    five below. Producers and consumers have a connection each, as a broker that is short of memory
    stops reading from those that publish.
    """

    contract = 1
    event_config: ClassVar[type[EventConfig] | None] = RabbitMQEventConfig
    features: ClassVar[Features] = Features(
        durable=True,
        history=False,
        shared_order=False,
        temporary=True,
        light_topics=True,
        delay=True,
        wildcards=True,
        unroutable="keep",
        bounded=True,
        hold_limit=1500.0,
        attribute_prefixes=("cloudEvents_", "cloudEvents:", "ce-"),
        broker_headers=BROKER_HEADERS,
        added_headers=("message-id",),
    )

    def __init__(self, **options: Unpack[RabbitMQOptions]) -> None:
        """A backend from options; does no I/O.

        Raises:
            ConfigurationError: an option is unknown or wrong; the text names it.
        """
        self._configure(configure(dict(options)))

    @classmethod
    def from_url(cls, url: str) -> Self:
        """A backend from ``amqp://user:password@host:port/vhost?option=value``.

        The schemes are amqp and rabbitmq, with TLS amqps and rabbitmqs; the options are those of
        `RabbitMQConfig`. User, password and virtual host are percent-decoded.

        Raises:
            ConfigurationError: the URL or an option in it is wrong; the text names the part.
        """
        backend = cls()
        backend._configure(configure_from_url(url))
        return backend

    def __repr__(self) -> str:
        """Where it leads, without the password."""
        return f"<RabbitMQBackend {self.config.address} {self.config.vhost!r}>"

    @property
    def send_timeout(self) -> float:
        """See `Backend.send_timeout`."""
        return self.config.send_timeout

    async def ping(self) -> None:
        """Return if the broker answers and lets us in."""
        link = Link(self.config, "ping")
        try:
            await link.open()
        finally:
            await link.close()

    async def prepare(self, topology: Topology) -> None:
        """Make, check or leave alone the exchange and, for a group, its queues."""
        queues = self._queues(topology)
        if self.config.declare == "never":
            return
        former: Sequence[GroupQueue] = ()
        link = Link(self.config, "topology")

        async def declare(channel: Channel) -> None:
            for queue in queues:
                await declare_queue(channel, queue, self.config)
            for whole in {queue.hash_exchange for queue in queues} - {None}:
                await declare_roster(channel, roster_name(str(whole)), self.config)
            # Only now, as what another queue takes in must be bound before.
            for queue in former:
                await unbind_former(channel, queue, self.config)

        try:
            await link.open()
            await self._check_leftovers(link, topology)
            if self.config.declare == "auto":
                former = await self._former(link, topology)
            await link.channel(self._declare_exchange)
            if queues and self.config.declare == "auto":
                await make_queues(link, queues, self.config)
            await link.channel(declare)
        except AmqpError as error:
            raise BrokerUnreachable(
                f"RabbitMQ at {self.config.address} let go while queues were declared: {error}"
            ) from error
        finally:
            await link.close()

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[Producer]:
        """A producer with a connection of its own, confirmed and `mandatory`."""
        producer = RabbitMQProducer(self.config)
        try:
            await producer.open()
            yield producer
        finally:
            await producer.close()

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncGenerator[Consumer]:
        """A consumer with a connection of its own, and a channel for each queue."""
        former = await self._seen_former(subscription)
        consumer = RabbitMQConsumer(self.config, subscription, former)
        try:
            await consumer.open(on_revoke)
            yield consumer
        finally:
            await consumer.close()

    async def _check_leftovers(self, link: Link, topology: Topology) -> None:
        # They would stay bound, and fill, while nobody consumes them.
        if self.config.partitions is None or topology.group is None:
            return
        names = other_queues(
            topology.topics,
            topology.patterns,
            owner(topology.group, self.config.exchange),
            self.config.partitions,
        )
        if left := sorted(await ready_messages(link, names)):
            raise TopologyError(
                f"queue {', '.join(left)} at {self.config.address} is from when group "
                f"{topology.group!r} had another number of partitions: have it emptied by "
                "listeners with that number, and delete it; or keep that number"
            )

    async def _declare_exchange(self, channel: Channel) -> None:
        await declare_exchange(channel, self.config)
        await close_channel(channel)

    def _configure(self, config: RabbitMQConfig) -> None:
        self.config: RabbitMQConfig = config
        warn_of_exposure(
            config.address,
            [config.host],
            tls=config.tls,
            verified=config.verify,
            has_credentials=True,
        )
        shared_order = config.partitions is not None
        # Those of this backend, in front of those of its class.
        vars(self)["features"] = replace(
            type(self).features, shared_order=shared_order, unroutable=config.if_unroutable
        )

    def _queues(self, topology: Topology) -> tuple[GroupQueue, ...]:
        check_topics(topology.topics)
        check_patterns(topology.patterns)
        if topology.group is None:
            return ()
        return queues_of(topology.group, topology.topics, topology.patterns, self.config)

    async def _seen_former(self, subscription: Subscription) -> Sequence[GroupQueue]:
        """The queues from before a pattern took them in, which are to be emptied."""
        if not subscription.patterns or self.config.declare == "never":
            return ()
        topology = Topology(
            topics=subscription.topics, group=subscription.group, patterns=subscription.patterns
        )
        link = Link(self.config, "topology")
        try:
            await link.open()
            former = await self._former(link, topology)
        except AmqpError as error:
            raise BrokerUnreachable(
                f"RabbitMQ at {self.config.address} let go while queues were looked for: {error}"
            ) from error
        finally:
            await link.close()
        for queue in former:
            logger.info("queue %s is emptied; its topics come by a pattern now", queue.name)
        return former

    async def _former(self, link: Link, topology: Topology) -> Sequence[GroupQueue]:
        if topology.group is None or not topology.patterns:
            return ()
        queues = queues_of(
            topology.group, topology.topics, topology.patterns, self.config, former=True
        )
        there = await ready_messages(link, [queue.name for queue in queues])
        return [queue for queue in queues if queue.name in there]
