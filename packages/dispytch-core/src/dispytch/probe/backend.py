"""The in-memory backend in the place of a listener's own."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import compress

from dispytch.exceptions import SendError, TransportError, Unroutable
from dispytch.memory import MemoryBackend, MemoryBroker
from dispytch.memory.consumer import MemoryConsumer
from dispytch.messages import Delivery, Message
from dispytch.probe.recorder import Recorder
from dispytch.topics import TopicPattern
from dispytch.transport import Backend, OnRevoke, Producer, Subscription


class ProbeBackend(MemoryBackend):
    """A broker for one probe, which is told of all that is sent, received and settled.

    group: the service's.
    read_elsewhere: topics that others read; they may be patterns.
    sending: how many sends are under way.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        recorder: Recorder,
        group: str,
        read_elsewhere: Collection[str] = (),
    ) -> None:
        super().__init__("probe", broker=broker)
        self._recorder = recorder
        self._group = group
        patterns = [(text, TopicPattern.of(text)) for text in read_elsewhere]
        self._elsewhere = frozenset(text for text, pattern in patterns if pattern is None)
        self._patterns = [pattern for _, pattern in patterns if pattern is not None]
        self._consumers: set[ProbeConsumer] = set()
        self.sending = 0

    @property
    def has_next(self) -> bool:
        """Whether a consumer is about to receive something."""
        return any(consumer.has_next for consumer in self._consumers)

    def is_read(self, topic: str) -> bool:
        """Whether anybody has subscribed to a topic."""
        known = self._broker.topic(topic, self.config)
        return known is not None and known.is_read

    def takes(self, message: Message) -> bool:
        """Whether the real broker would keep a message, or somebody reads its topic."""
        if self.features.unroutable in (None, "keep") or message.repeats is not None:
            return True
        topic = message.topic
        elsewhere = topic in self._elsewhere or any(one.matches(topic) for one in self._patterns)
        return elsewhere or self.is_read(topic)

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[Producer, None]:
        """See `Backend.producer`."""
        async with super().producer() as producer:
            yield ProbeProducer(self, producer, self._recorder, by_test=False)

    @asynccontextmanager
    async def test_producer(self) -> AsyncGenerator[Producer, None]:
        """A producer for what the test sends, which is no part of what the service emits."""
        async with super().producer() as producer:
            yield ProbeProducer(self, producer, self._recorder, by_test=True)

    @asynccontextmanager
    async def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AsyncGenerator[MemoryConsumer, None]:
        """See `Backend.consumer`. Who reads in another group, as for a replay, is not watched."""
        if subscription.group != self._group:
            async with super().consumer(subscription, on_revoke) as unwatched:
                yield unwatched
            return
        topics = self._topics(subscription.topics)
        consumer = ProbeConsumer(self._broker, subscription, on_revoke, self._recorder)
        consumer.join(topics)
        self._consumers.add(consumer)
        try:
            yield consumer
        finally:
            self._consumers.discard(consumer)
            await consumer.close()


def in_place_of(
    real: Backend,
    broker: MemoryBroker,
    recorder: Recorder,
    group: str,
    read_elsewhere: Collection[str] = (),
) -> ProbeBackend:
    """A probe's backend that can do what the real one can, and reads the same configurations."""

    class InPlace(ProbeBackend):
        features = replace(real.features, durable=False, history=True, shared_order=True)
        event_config = real.event_config

    return InPlace(broker, recorder, group, read_elsewhere)


class ProbeProducer(Producer):
    """Sends, unless the test wants it refused, and notes what was sent."""

    def __init__(
        self, backend: ProbeBackend, inner: Producer, recorder: Recorder, *, by_test: bool
    ) -> None:
        self._backend = backend
        self._inner = inner
        self._recorder = recorder
        self._by_test = by_test

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        """See `Producer.send`."""
        self._backend.sending += 1
        try:
            if self._by_test:
                await self._inner.send(messages, delay=delay)
            else:
                self._recorder.faults.check_send(messages, self._recorder.type_of)
                await self._send(messages, delay)
        finally:
            self._backend.sending -= 1
        self._recorder.sent(messages, delay, by_test=self._by_test)

    async def _send(self, messages: Sequence[Message], delay: float | None) -> None:
        """Send what the real broker would take, now and for good."""
        takes = [bool(delay) or self._backend.takes(message) for message in messages]
        await self._inner.send(list(compress(messages, takes)), delay=delay)
        failures: dict[int, TransportError] = {
            index: _nobody(messages[index]) for index, taken in enumerate(takes) if not taken
        }
        if failures and self._backend.features.unroutable == "error":
            raise SendError(failures, len(messages))


def _nobody(message: Message) -> Unroutable:
    return Unroutable(
        f"nobody reads topic {message.topic!r} in this test, and the backend's option unroutable "
        "is 'error': name it in listener.test(read_elsewhere=[...]) if another service does"
    )


class ProbeConsumer(MemoryConsumer):
    """Receives, and notes what was received and settled."""

    def __init__(
        self,
        broker: MemoryBroker,
        subscription: Subscription,
        on_revoke: OnRevoke,
        recorder: Recorder,
    ) -> None:
        super().__init__(broker, subscription, on_revoke)
        self._recorder = recorder

    @property
    def has_next(self) -> bool:
        """Whether `receive` has something to return."""
        room = self._in_flight < self._max_in_flight and not self._stopped
        return room and any(holding.ready(self._window) for holding in self._queue)

    async def receive(self) -> Sequence[Delivery]:
        """See `Consumer.receive`."""
        deliveries = await super().receive()
        self._recorder.received(deliveries)
        return deliveries

    def ack(self, delivery: Delivery) -> None:
        """See `Consumer.ack`."""
        super().ack(delivery)
        self._recorder.settled(delivery)
