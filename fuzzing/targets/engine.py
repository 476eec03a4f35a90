"""Whole messages, forged headers among them, through a listener in memory."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup, RetryPolicy
from dispytch.memory import MemoryBackend
from dispytch.memory.broker import MemoryBroker
from dispytch.messages import Message
from dispytch.transport import Producer
from fuzzing import message
from fuzzing.target import Finding, Target
from fuzzing.targets import envelopes, letters
from fuzzing.targets.shapes import ORDER, Order
from fuzzing.texts import CANARY, check_text, leaks

_GROUP: Final = "g"
_TOPICS: Final = ("orders", "free", "asked", "user.1", "g.retry", "orders.g.dead")
_WITHIN: Final = 3.0
_SETTLED_EVERY: Final = 200
_TOLD: Final = ("dispytch-exception-message", "dispytch-exception-traceback")


class Good(EventBase):
    """What must be handled whatever came before."""

    __topic__ = "orders"
    __event_type__ = "good"
    __key__ = "{number}"

    number: int


class _Tap(Producer):
    """Notes what a listener sends on."""

    def __init__(self, inner: Producer, sent: list[Message]) -> None:
        self._inner = inner
        self._sent = sent

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        self._sent += messages
        await self._inner.send(messages, delay=delay)


class _Backend(MemoryBackend):
    """The one in memory, with a tap."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(retention=1000, partitions=1, send_timeout=1.0, broker=broker)
        self.sent: list[Message] = []

    @asynccontextmanager
    async def producer(self) -> AsyncGenerator[Producer, None]:
        async with super().producer() as inner:
            yield _Tap(inner, self.sent)


class _Log(logging.Handler):
    """What is logged, as it would be printed."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), self.format(record)))


class Stage:
    """A running listener, with one that sends hostile and good events to it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._log = _Log()
        logger = logging.getLogger("dispytch")
        logger.addHandler(self._log)
        logger.propagate = False
        self._runs = 0
        self._task: asyncio.Task[None] | None = None

    def run(self, data: bytes) -> None:
        """One hostile message, and a good one."""
        self._runs += 1
        try:
            self._loop.run_until_complete(self._one(message.read(data)))
        except Finding:
            self._loop.run_until_complete(self._ended())
            raise

    async def _one(self, hostile: Message) -> None:
        if self._task is None:
            await self._started()
        if hostile.topic not in _TOPICS:
            hostile.topic = _TOPICS[0]
        self._good.clear()
        await self._producer.send([hostile])
        await self._emitter.emit(Good(number=self._runs))
        await self._until(self._good.wait(), "a good event is not handled")
        if self._runs % _SETTLED_EVERY == 0:
            await self._until(self._settled(), "something is never settled")
        self._check(hostile)

    def _check(self, hostile: Message) -> None:
        body = hostile.value or b""
        lines, self._log.lines = self._log.lines, []
        sent = list(self._backend.sent)
        self._backend.sent.clear()
        if CANARY in f"{hostile.topic} {hostile.headers}":
            # What stands around a body may be shown.
            return
        for text, whole in lines:
            check_text(text, body)
            if leaks(whole, body):
                raise Finding("a log line holds a value of the body")
        for one in sent:
            for name, value in one.headers:
                if name in _TOLD and leaks((value or b"").decode("utf-8", "replace"), body):
                    raise Finding(f"{name} holds a value of the body")

    async def _until(self, waiting: Any, what: str) -> None:
        waited = asyncio.ensure_future(waiting)
        assert self._task is not None
        await asyncio.wait(
            {waited, self._task}, timeout=_WITHIN, return_when=asyncio.FIRST_COMPLETED
        )
        if self._task.done():
            waited.cancel()
            raise Finding("the listener has ended") from self._task.exception()
        if not waited.done():
            waited.cancel()
            raise Finding(what)

    async def _settled(self) -> None:
        while (await self._listener.health()).in_flight:  # noqa: ASYNC110 - it has no event for that
            await asyncio.sleep(0.01)

    async def _started(self) -> None:
        self._good = asyncio.Event()
        self._backend = _Backend(MemoryBroker())
        self._stack = contextlib.AsyncExitStack()
        self._listener = EventListener(
            self._backend,
            group=_GROUP,
            concurrency=4,
            max_in_flight=64,
            drain_timeout=0.1,
            retry=RetryPolicy(attempts=2, delay=0.001, max_delay=0.01, jitter=False),
        )
        self._listener.add_handler_group(self._handlers())
        plain = MemoryBackend(broker=self._backend._broker)
        self._producer = await self._stack.enter_async_context(plain.producer())
        self._emitter = await self._stack.enter_async_context(EventEmitter(plain))
        await self._stack.enter_async_context(self._listener)
        self._task = asyncio.ensure_future(self._listener.stopped())

    async def _ended(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._stack.aclose()
        self._log.lines.clear()

    def _handlers(self) -> HandlerGroup:
        group = HandlerGroup()

        @group.handler(topic="orders", event="good")
        async def good(event: Event[Good]) -> None:
            if event.body.number == self._runs:
                self._good.set()

        @group.handler(topic="orders", event="order")
        async def order(event: Event[Order]) -> None:
            event.headers  # noqa: B018 - it is read

        @group.handler(topic="free")
        async def free(event: Event[Any]) -> None:
            raise ValueError("no")

        @group.handler(topic="user.{name}")
        async def user(event: Event[Any]) -> None:
            event.segments  # noqa: B018 - it is read

        @group.handler(topic="asked", event="order")
        async def asked(event: Event[Order]) -> Order:
            return event.body

        return group


_FORGED: Final = (
    *(b"@topic: g.retry\n" + seed for seed in letters.SEEDS),
    b"@topic: orders.g.dead\n" + letters.SEEDS[1],
    b"@topic: asked\ndispytch-reply-to: somewhere\n" + letters.SEEDS[2],
    b"@topic: user.1\ndispytch-original-topic: orders\ntype: order\n\n" + ORDER,
    b"@topic: free\ntype: order\n\n" + ORDER,
)
_WORDS: Final = tuple(f"\n@topic: {topic}\n".encode() for topic in _TOPICS)

TARGETS: Final = (
    Target(
        "engine",
        Stage().run,
        [*envelopes.SEEDS, *letters.SEEDS, *_FORGED],
        [*_WORDS, *letters.WORDS, *envelopes.WORDS],
        weight=0.6,
    ),
)
