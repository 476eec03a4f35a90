"""Sending: one stream of messages, confirmed by the broker, over as many channels as it takes."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import count

from dispytch.exceptions import (
    BrokerUnreachable,
    SendError,
    SendTimeout,
    TopologyError,
    TransportError,
    Unroutable,
    Unsendable,
)
from dispytch.messages import Message
from dispytch.rabbitmq.bindings import routing_key
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.declaring import declare_exchange
from dispytch.rabbitmq.delaying import DelayQueues
from dispytch.rabbitmq.delays import DelayQueue, delay_queue, week_of
from dispytch.rabbitmq.driver import Channel
from dispytch.rabbitmq.event_config import RabbitMQEventConfig
from dispytch.rabbitmq.failures import (
    AmqpError,
)
from dispytch.rabbitmq.keeper import Keeper
from dispytch.rabbitmq.link import Link, backoff
from dispytch.rabbitmq.messages import DEFAULT_CONFIG, properties
from dispytch.rabbitmq.outgoing import Batch, Outgoing
from dispytch.rabbitmq.publishing import Publishing
from dispytch.rabbitmq.refusals import is_about_a_message, refused
from dispytch.rabbitmq.routes import Routes
from dispytch.rabbitmq.topology import check_routing_key, check_topics
from dispytch.transport import Producer

logger: logging.Logger = logging.getLogger("dispytch.rabbitmq")

_KNOWN_TOPICS = 10_000

_AT_ONCE = 8
"""How many messages are published before others have their turn on the event loop."""


class RabbitMQProducer(Producer):
    """Sends messages in the order in which they were given, all callers together.

    What is unconfirmed when its channel dies goes to the head of the backlog and is sent again.
    When the broker closes a channel for what was sent on it, the suspects are sent one by one: the
    one that it happens to alone is the one that fails.
    """

    def __init__(self, config: RabbitMQConfig) -> None:
        self._config = config
        self._link = Link(config, "producer")
        self._delays = DelayQueues(config, self._link)
        self._backlog: deque[Outgoing] = deque()
        self._publishing = Publishing(self._pump_soon)
        self._numbers = count(1)
        self._routes = Routes()
        self._keeper = Keeper(config)
        self._keeping: asyncio.Task[None] | None = None
        self._pump_is_due = False
        self._suspects = 0
        self._known_topics: set[str] = set()
        self._batches: set[asyncio.Future[None]] = set()
        self._holding: asyncio.Task[None] | None = None
        self._failure: TransportError | None = None

    async def open(self) -> None:
        """Connect; from then on, keep connected.

        Raises:
            BrokerUnreachable, TopologyError: as `Backend.producer` says.
        """
        await self._link.open()
        try:
            await self._open_channel()
        except AmqpError as error:
            raise BrokerUnreachable(
                f"RabbitMQ at {self._config.address} let go while a producer was made: {error}"
            ) from error
        self._holding = asyncio.create_task(self._hold(), name="dispytch-rabbitmq-producer")
        self._holding.add_done_callback(self._holding_ended)

    async def close(self) -> None:
        """Wait for what is being sent, then close the connection."""
        if self._batches:
            await asyncio.wait(self._batches)
        tasks = [task for task in (self._holding, self._keeping) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._keeper.close()
        await self._link.close()

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        """See `Producer.send`. A delay is rounded up to a step, at most to twice as much."""
        if self._failure is not None:
            raise SendError({index: self._failure for index in range(len(messages))}, len(messages))
        self._check_topics(messages)
        sending = self._send_now(messages) if not delay else self._send_later(messages, delay)
        if failures := await sending:
            raise SendError(failures, len(messages))

    async def _send_now(self, messages: Sequence[Message]) -> dict[int, TransportError]:
        batch = Batch(len(messages))
        return await self._deliver(batch, self._encoded(messages, batch))

    async def _send_later(
        self, messages: Sequence[Message], delay: float, *, last: bool = False
    ) -> dict[int, TransportError]:
        batch = Batch(len(messages))
        self._batches.add(batch.done)
        try:
            sending = self._encoded(messages, batch, delay)
            await self._make_sure(sending)
            failures = await self._deliver(batch, sending)
        finally:
            self._batches.discard(batch.done)
        gone = [m for m in sending if isinstance(failures.get(m.index), Unroutable)]
        if not gone or last or self._config.declare != "auto":
            return failures
        # Someone has deleted the queue since it was declared.
        self._delays.forget(m.delay_queue for m in gone if m.delay_queue)
        again = await self._send_later([messages[m.index] for m in gone], delay, last=True)
        for message in gone:
            del failures[message.index]
        return failures | {gone[index].index: error for index, error in again.items()}

    async def _deliver(self, batch: Batch, sending: list[Outgoing]) -> dict[int, TransportError]:
        for message in sending:
            if not message.settled:
                message.number = next(self._numbers)
                self._backlog.append(message)
        self._pump()
        self._batches.add(batch.done)
        try:
            async with asyncio.timeout(self._config.send_timeout):
                await batch.done
        except TimeoutError:
            for message in sending:
                if not message.settled:
                    batch.failures[message.index] = self._too_late(message)
        finally:
            self._batches.discard(batch.done)
        return batch.failures

    async def _make_sure(self, sending: list[Outgoing]) -> None:
        queues = {message.delay_queue for message in sending if message.delay_queue}
        try:
            async with asyncio.timeout(self._config.send_timeout):
                await self._delays.ensure(queues)
        except TimeoutError:
            failure: TransportError = BrokerUnreachable(
                f"no delay queue within {self._config.send_timeout:g} s: "
                f"{self._link.trouble or f'RabbitMQ at {self._config.address} gave no answer'}"
            )
        except TopologyError as error:
            failure = TransportError(f"the message cannot be kept back: {error}")
            failure.__cause__ = error
        else:
            return
        for message in sending:
            message.settle(failure)

    def _check_topics(self, messages: Sequence[Message]) -> None:
        for topic in {message.topic for message in messages} - self._known_topics:
            check_topics((topic,))
            if len(self._known_topics) < _KNOWN_TOPICS:
                self._known_topics.add(topic)

    def _encoded(
        self, messages: Sequence[Message], batch: Batch, delay: float | None = None
    ) -> list[Outgoing]:
        sending: list[Outgoing] = []
        for index, message in enumerate(messages):
            try:
                outgoing = _outgoing(message, batch, index, self._config)
                if delay:
                    outgoing.keep_back(self._delay_queue(outgoing, delay))
                sending.append(outgoing)
            except TransportError as error:
                batch.settle(index, error)
            except (ValueError, TopologyError) as error:
                failure = Unsendable(f"the message cannot be written for RabbitMQ: {error}")
                failure.__cause__ = error
                batch.settle(index, failure)
        return sending

    def _delay_queue(self, message: Outgoing, delay: float) -> DelayQueue:
        # Whoever declares the queues in our place cannot do so every week.
        week = week_of(time.time()) if self._config.declare == "auto" else None
        return delay_queue(message.exchange, message.routing_key, delay, week)

    def _pump(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._backlog or not self._publishing.has_room:
                return
            if self._suspects and self._publishing.unconfirmed:
                return
            if self._publishing.has_twin(self._backlog[0]):
                return
            message = self._backlog.popleft()
            self._suspects = max(0, self._suspects - 1)
            if not message.batch.over:
                self._publish(message)
        self._pump_soon()

    def _publish(self, message: Outgoing) -> None:
        if not message.keeps:
            self._publishing.publish(message)
        elif self._routes.admits(message):
            self._publishing.publish(message)
            if message.settled:
                # It could not be written, and so asks for nobody.
                self._send_first(self._routes.release(message.routing_key))

    def _send_first(self, messages: Iterable[Outgoing]) -> None:
        """Send these before all that has not been sent yet, in their order."""
        self._backlog.extendleft(reversed(list(messages)))

    def _concluded(self, message: Outgoing, returned: bool) -> None:
        if not returned:
            self._send_first(self._routes.answered(message))
            return
        self._routes.returned(message)
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep(), name="dispytch-rabbitmq-keeper")

    async def _keep(self) -> None:
        """Keep what has come back, one routing key after the other, until nothing has."""
        waits = backoff()
        while (key := self._routes.homeless) is not None:
            messages = self._routes.messages(key)
            housed = not messages
            try:
                housed = housed or not await self._keeper.keep(key, messages)
            except Unroutable as error:
                for message in messages:
                    message.settle(error)
            except AmqpError as error:
                logger.warning("events of %s cannot be kept this time: %s", key, error)
                await asyncio.sleep(next(waits))
            if housed or not self._routes.messages(key):
                self._send_first(self._routes.release(key))
                self._pump()

    def _pump_soon(self) -> None:
        if not self._pump_is_due:
            self._pump_is_due = True
            asyncio.get_running_loop().call_soon(self._pump_now)

    def _pump_now(self) -> None:
        self._pump_is_due = False
        self._pump()

    async def _hold(self) -> None:
        while True:
            error = await asyncio.shield(self._publishing.over)
            self._recover(error)
            logger.warning("producer of RabbitMQ at %s: %s", self._config.address, error)
            for wait in backoff():
                try:
                    await self._open_channel()
                except (AmqpError, BrokerUnreachable, TopologyError) as failed:
                    logger.warning("producer: %s; trying again in %.1f s", failed, wait)
                    await asyncio.sleep(wait)
                else:
                    break
            self._pump()

    async def _open_channel(self) -> None:
        publishing = Publishing(self._pump_soon, self._concluded)

        async def prepare(channel: Channel) -> None:
            await declare_exchange(channel, self._config)
            publishing.start(channel)

        await self._link.channel(prepare)
        self._publishing = publishing

    def _recover(self, error: AmqpError) -> None:
        unconfirmed = self._publishing.take_back()
        waiting = [message for message in unconfirmed if not message.batch.over]
        if is_about_a_message(error, self._config):
            if len(waiting) == 1:
                message = waiting.pop()
                message.settle(refused(message, error, self._config))
            self._suspects = max(self._suspects, len(waiting))
        # The suspects are the first ones: what waited for one of them comes behind.
        self._send_first([*waiting, *self._routes.forget()])

    def _too_late(self, message: Outgoing) -> TransportError:
        seconds = f"{self._config.send_timeout:g} s"
        if self._link.live is None:
            reason = self._link.trouble or f"RabbitMQ at {self._config.address} is away"
            if not message.sent:
                return BrokerUnreachable(f"not sent within {seconds}: {reason}")
            return SendTimeout(f"sent and not confirmed within {seconds}: {reason}")
        return SendTimeout(
            f"RabbitMQ at {self._config.address} did not confirm within {seconds}; it takes no "
            "messages while it is short of memory or disk space, or a quorum queue has no leader: "
            "see its alarms and its log"
        )

    def _holding_ended(self, holding: asyncio.Task[None]) -> None:
        if holding.cancelled() or (error := holding.exception()) is None:
            return
        logger.critical("the producer has failed for good", exc_info=error)
        self._failure = TransportError(f"the producer has failed for good: {error!r}")
        self._failure.__cause__ = error
        stranded = [*self._publishing.take_back(), *self._routes.forget(), *self._backlog]
        self._backlog.clear()
        for message in stranded:
            message.settle(self._failure)


def _outgoing(message: Message, batch: Batch, index: int, broker: RabbitMQConfig) -> Outgoing:
    config = message.config if isinstance(message.config, RabbitMQEventConfig) else DEFAULT_CONFIG
    key = config.routing_key or routing_key(message.topic)
    check_routing_key(key)
    mandatory, keeps = _if_unroutable(message, config.mandatory, broker)
    return Outgoing(
        batch=batch,
        index=index,
        topic=message.topic,
        exchange=broker.exchange,
        routing_key=key,
        mandatory=mandatory,
        keeps=keeps,
        properties=properties(message, config, broker.user),
        body=message.value or b"",
    )


def _if_unroutable(
    message: Message, mandatory: bool | None, broker: RabbitMQConfig
) -> tuple[bool, bool]:
    """Whether a message comes back if no queue takes it, and whether it is kept then."""
    if mandatory is not None:
        return mandatory, False
    if message.needs_reader or message.repeats is not None:
        # Where it goes, there is a queue, or it is of no use.
        return True, False
    return broker.if_unroutable != "drop", broker.if_unroutable == "keep"
