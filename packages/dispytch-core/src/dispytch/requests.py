"""The requests of one emitter, and the way on which their replies come back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Generator
from contextlib import contextmanager
from itertools import count
from typing import Final
from uuid import uuid4

from dispytch.exceptions import ConfigurationError, NotRunning, RequestTimeout, reason_of
from dispytch.messages import CORRELATION_ID, Delivery, Lease, Message, present
from dispytch.replies import Asked, reply_topic
from dispytch.signing import Signer, for_reply
from dispytch.transport import Backend, Consumer, Subscription, Topology

logger: logging.Logger = logging.getLogger("dispytch")

_WINDOW: Final = 1000

Send = Callable[[Message], Awaitable[None]]


class Requests:
    """Sends requests and gives each its own reply, however many wait at once.

    The replies come through a temporary subscription, which is opened at the first request, before
    that is sent. When it fails for good, those that wait fail with its error, and the next request
    opens another. Replies that nobody waits for any more are counted in ``late``, and dropped.

    signer: a reply that it has not signed is dropped, and its request goes on waiting.

    Raises:
        ConfigurationError: the backend has no temporary subscriptions.
    """

    def __init__(self, backend: Backend, source: str, signer: Signer | None = None) -> None:
        features = backend.features
        if not features.temporary:
            raise ConfigurationError(
                f"{type(backend).__name__} has no temporary subscriptions, so that no reply would "
                "find its way back: emit events both ways, or use a backend with the feature "
                "'temporary'"
            )
        self._backend = backend
        self._signer = signer
        self._id = uuid4().hex
        self._group = reply_topic(source)
        self._topic = f"{self._group}.{self._id}" if features.light_topics else self._group
        self._numbers = count(1)
        self._waiting: dict[bytes, asyncio.Future[Delivery]] = {}
        self._opened: asyncio.Future[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._consumer: Consumer | None = None
        self.late: int = 0

    async def ask(self, message: Message, send: Send, within: float, what: str) -> Delivery:
        """Send a request; return its reply. ``what`` names it in errors.

        Raises:
            RequestTimeout: no reply in time; the text says how far it came.
            TransportError, ConfigurationError: the way for the replies cannot be opened, or was
                lost; or what ``send`` raises.
        """
        stage = "the way for its reply was not open"
        limit = asyncio.timeout(within)
        try:
            async with limit:
                await asyncio.shield(self._open())
                with self._expected() as (asked, reply):
                    message.headers = [*message.headers, *asked.headers]
                    message.needs_reader = True
                    stage = f"the broker did not confirm that it took it to {message.topic!r}"
                    await send(message)
                    stage = (
                        f"no reply came from {message.topic!r}: is a listener running that has a "
                        "handler for it, and does that answer? One whose return annotation is None "
                        "does only with answers=True"
                    )
                    return await reply
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise RequestTimeout(f"{what}: within {within:g} s, {stage}") from error

    async def close(self) -> None:
        """Close the way for replies; requests that wait fail."""
        serving = self._serving
        if serving is not None:
            if self._consumer is None:
                serving.cancel()
            else:
                self._consumer.stop_receiving()
            await asyncio.wait({serving})
        self._fail(_closed())

    def _open(self) -> "asyncio.Future[None]":
        if self._opened is not None and self._serving is not None and not self._serving.done():
            return self._opened
        opened = self._opened = asyncio.get_running_loop().create_future()
        self._serving = asyncio.create_task(self._serve(opened), name="dispytch-replies")
        return opened

    @contextmanager
    def _expected(self) -> "Generator[tuple[Asked, asyncio.Future[Delivery]]]":
        correlation_id = f"{self._id}.{next(self._numbers)}".encode()
        reply: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = reply
        try:
            yield Asked(self._topic, correlation_id), reply
        finally:
            self._waiting.pop(correlation_id, None)

    async def _serve(self, opened: "asyncio.Future[None]") -> None:
        """Take replies in, from the opening to the end."""
        try:
            if not self._backend.features.light_topics:
                await self._backend.prepare(Topology(topics=(self._topic,)))
            subscription = Subscription(
                group=self._group, topics=(self._topic,), max_in_flight=_WINDOW, temporary=True
            )
            async with self._backend.consumer(subscription, _nothing_to_drain) as consumer:
                self._consumer = consumer
                opened.set_result(None)
                await self._take_in(consumer)
        except Exception as error:
            self._lost(opened, error)
        finally:
            self._consumer = None
            if not opened.done():
                self._lost(opened, _closed())

    async def _take_in(self, consumer: Consumer) -> None:
        while deliveries := await consumer.receive():
            for delivery in deliveries:
                consumer.ack(delivery)
                self._take(delivery)

    def _take(self, delivery: Delivery) -> None:
        correlation_id = present(delivery.headers).get(CORRELATION_ID, b"")
        if correlation_id in self._waiting and not self._is_trusted(delivery):
            return
        reply = self._waiting.pop(correlation_id, None)
        if reply is not None and not reply.done():
            reply.set_result(delivery)
        elif correlation_id.startswith(self._id.encode()):
            self.late += 1
            logger.debug("a reply on %r came late, or a second time: dropped", self._topic)

    def _is_trusted(self, delivery: Delivery) -> bool:
        if self._signer is None:
            return True
        doubt = self._signer.doubt(delivery, for_reply(self._topic))
        if doubt is not None:
            logger.warning(
                "a reply on %r is dropped, and its request goes on waiting: %s; give whoever "
                "answers the same signing_key",
                self._topic,
                doubt,
            )
        return doubt is None

    def _lost(self, opened: "asyncio.Future[None]", error: Exception) -> None:
        if not opened.done():
            opened.set_exception(error)
            # Whoever waits for it may have given up.
            opened.exception()
            return
        logger.error("replies on %r cannot be received any more: %s", self._topic, reason_of(error))
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(error)
                reply.exception()


def _closed() -> NotRunning:
    return NotRunning("the emitter was closed while a request waited for its reply")


async def _nothing_to_drain(leases: Collection[Lease]) -> None:
    """Replies are acked as they come."""
