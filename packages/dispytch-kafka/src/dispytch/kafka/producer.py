"""Sending to Kafka."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Sequence
from operator import attrgetter

from dispytch.exceptions import (
    BrokerUnreachable,
    ConfigurationError,
    DispytchError,
    MessageTooLarge,
    SendTimeout,
    TopologyError,
    TransportError,
    Unroutable,
)
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import known_partitions
from dispytch.kafka.event_config import KafkaEventConfig
from dispytch.kafka.failures import ClientClosed, KafkaError
from dispytch.kafka.outbox import Outbox
from dispytch.kafka.routes import Route
from dispytch.kafka.sending import Parcel, Sending, Sendings
from dispytch.kafka.topic_names import check_topic_name
from dispytch.kafka.topics import Topics
from dispytch.kafka.uplink import Uplink
from dispytch.messages import Message, may_make_topic
from dispytch.transport import Producer

logger: logging.Logger = logging.getLogger("dispytch.kafka")

_topic_of = attrgetter("topic")


class KafkaProducer(Producer):
    """Sends with one idempotent producer, confirmed by all replicas that are in sync.

    Messages are sorted into an outbox per partition, where those of all calls under way share the
    driver's batches.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._topics = Topics(config)
        self._uplink = Uplink(config)
        self._routes: dict[str, Route] = {}
        self._outboxes: dict[tuple[str, int], Outbox] = {}
        self._sendings = Sendings(config.send_timeout)

    async def connect(self) -> None:
        """Connect.

        Raises:
            BrokerUnreachable: no connection within the connect timeout.
        """
        await self._uplink.connect()

    async def close(self) -> None:
        """Wait for what is being sent, for as long as a send may take, and disconnect."""
        await self._sendings.ended()
        for outbox in self._outboxes.values():
            if outbox.task is not None:
                outbox.task.cancel()
        await self._uplink.close()

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        """See `Producer.send`.

        Raises also:
            ConfigurationError: a delay is given, and Kafka has none; nothing was sent.
            TopologyError: Kafka cannot have a topic of that name; nothing was sent.
            InvalidEvent: a `KafkaEventConfig` makes no sense for its event; nothing was sent.
        """
        if delay is not None:
            raise ConfigurationError(
                "Kafka cannot keep a message back, so `send` takes no delay here: send it at once, "
                "and let whoever receives it wait (see the feature `delay`)"
            )
        if not messages:
            return
        sending = self._sendings.begin(len(messages))
        parcels: list[Parcel] = []
        try:
            for topic in set(map(_topic_of, messages)):
                if not self._is_routed(topic):
                    make = any(one.topic == topic and may_make_topic(one) for one in messages)
                    async with asyncio.timeout_at(sending.deadline):
                        await self._find_route(topic, make=make)
            self._post(messages, sending, parcels)
            await sending.done
        except (TransportError, TimeoutError) as error:
            self._give_up(messages, sending, parcels, error)
        finally:
            self._sendings.end(sending)
        sending.check()

    def _is_routed(self, topic: str) -> bool:
        """Whether the topic's partitions are known, and the same as before."""
        route = self._routes.get(topic)
        partitions = known_partitions(self._uplink.client, topic)
        return route is not None and partitions is not None and route.fits(partitions)

    async def _find_route(self, topic: str, *, make: bool) -> None:
        check_topic_name(topic)
        partitions: Collection[int] | None = known_partitions(self._uplink.client, topic)
        if partitions is None:
            partitions = await self._discovered(topic, make=make)
        self._routes[topic] = Route(topic, partitions)

    async def _discovered(self, topic: str, *, make: bool) -> Collection[int]:
        while True:
            try:
                await (self._topics.prepare([topic]) if make else self._topics.check(topic))
                client = self._uplink.client
                return await self._uplink.answered(client, client.partitions_for(topic))
            except ClientClosed:
                logger.debug("asking for the partitions of %r again, with a new client", topic)
            except BrokerUnreachable as error:
                logger.warning("sending to %r waits for a broker: %s", topic, error)
            except TopologyError as error:
                raise Unroutable(str(error)) from error
            except KafkaError as error:
                raise Unroutable(
                    f"Kafka at {self._config.address} tells of no topic {topic!r}: {error}; "
                    f"make it, or do not set declare={self._config.declare!r}"
                ) from error

    def _post(self, messages: Sequence[Message], sending: Sending, parcels: list[Parcel]) -> None:
        parcels += [_parcel(message, index, sending) for index, message in enumerate(messages)]
        addressed: list[tuple[Outbox, Parcel]] = []
        # Most are far below the limit, so that their size need not be counted out.
        far_below = self._config.max_message_bytes // 2
        for message, parcel in zip(messages, parcels, strict=True):
            try:
                if parcel.value is not None and len(parcel.value) > far_below:
                    self._check_size(parcel)
                addressed.append((self._outbox(message), parcel))
            except TransportError as error:
                parcel.fail(error)
        for outbox, parcel in addressed:
            outbox.put(parcel)

    def _outbox(self, message: Message) -> Outbox:
        place = message.topic, self._routes[message.topic].partition(message)
        outbox = self._outboxes.get(place)
        if outbox is None:
            outbox = self._outboxes[place] = Outbox(*place, self._uplink, self._heal)
        return outbox

    def _check_size(self, parcel: Parcel) -> None:
        limit = self._config.max_message_bytes
        if parcel.sent_on:
            # Somebody has sent it before: its topic tells whether it takes it, too.
            return
        if (size := parcel.size) > limit:
            raise MessageTooLarge(
                f"a message of {size} bytes is above max_message_bytes={limit}: send less, or "
                "raise it here and max.message.bytes of the topic"
            )

    async def _heal(self, topic: str) -> None:
        with contextlib.suppress(DispytchError):
            await self._topics.prepare([topic])

    def _give_up(
        self,
        messages: Sequence[Message],
        sending: Sending,
        parcels: Sequence[Parcel],
        error: Exception,
    ) -> None:
        if not parcels:
            failure = error if isinstance(error, TransportError) else self._unsent(messages[0])
            for index in range(len(messages)):
                sending.fail(index, failure)
        for parcel in parcels:
            if not parcel.settled:
                message = messages[parcel.index]
                parcel.fail(self._late(message) if parcel.handed_over else self._unsent(message))

    def _late(self, message: Message) -> SendTimeout:
        return SendTimeout(
            f"Kafka at {self._config.address} did not confirm a message for {message.topic!r} "
            f"within {self._config.send_timeout:g} s; it may or may not have been taken"
        )

    def _unsent(self, message: Message) -> BrokerUnreachable:
        return BrokerUnreachable(
            f"Kafka at {self._config.address} took nothing for {message.topic!r} within "
            f"{self._config.send_timeout:g} s; the message was not sent"
        )


def _parcel(message: Message, index: int, sending: Sending) -> Parcel:
    config, headers = message.config, message.headers
    if not isinstance(headers, list):
        headers = list(headers)
    if config is None or not isinstance(config, KafkaEventConfig):
        sent_on = message.repeats is not None
        return Parcel(sending, index, message.key, message.value, headers, None, sent_on)
    key = message.key
    if key is None and config.partition_key is not None:
        key = config.partition_key.encode()
    headers = [*headers, *config.encoded_headers()]
    return Parcel(sending, index, key, message.value, headers, config.timestamp_ms())
