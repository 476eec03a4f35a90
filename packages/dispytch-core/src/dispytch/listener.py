"""Listening to events: the only place that knows the whole way of an event."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from dispytch.backends import backend_from
from dispytch.delivery import Engine, Handling, Ordering, Outcomes
from dispytch.emitter import EventEmitter
from dispytch.exceptions import AlreadyRunning, ConfigurationError, NotRunning
from dispytch.failure import FailurePolicy, checked
from dispytch.middleware import Middleware
from dispytch.retry import RetryPolicy
from dispytch.routing import Defaults, HandlerGroup, PlannedRoute, Router, plan_routes
from dispytch.serialization import CloudEvents, Codec, Codecs, JsonCodec, WireFormat
from dispytch.signals import stopping_on_signals
from dispytch.transport import Backend, StartAt, Subscription, Topology

logger = logging.getLogger("dispytch")

_PROVIDED = (EventEmitter,)


class EventListener:
    """Receives the events of its handlers' topics, as a member of a consumer group.

    Every event is delivered at least once to every group: it is settled only after its handlers
    have returned, or its failure policy has been applied.

    backend: a URL, or a `Backend`.
    group: the consumer group; its members share the events of a topic.
    concurrency: how many events are handled at once.
    ordering: ``"key"`` handles events of one key one at a time, in order; ``"partition"`` those of
        one partition or queue; ``"none"`` keeps no order.
    max_in_flight: how many events may be received and unsettled; 16 times the concurrency if not
        given.
    retry, dead_letter: for handlers that say nothing of it; see `RetryPolicy`, `FailurePolicy`.
    middlewares: around every handler, the first one outermost.
    drain_timeout: seconds that running handlers have to finish when the listener stops or a
        partition is revoked.
    start_at: where a group that is new to a topic begins.
    wire, codecs: the formats that are read, and that an emitter in a handler writes.

    Raises:
        ConfigurationError: an argument that makes no sense, a backend that is not installed.
    """

    def __init__(
        self,
        backend: Backend | str,
        *,
        group: str,
        concurrency: int = 64,
        ordering: Ordering = "key",
        max_in_flight: int | None = None,
        retry: RetryPolicy | None = None,
        dead_letter: FailurePolicy = "halt",
        middlewares: Sequence[Middleware] = (),
        drain_timeout: float = 30.0,
        start_at: StartAt = "earliest",
        wire: WireFormat | None = None,
        codecs: Sequence[Codec] = (JsonCodec(),),
    ) -> None:
        _require(isinstance(group, str) and group != "", "group must be a name", group)
        _require(concurrency >= 1, "concurrency must be at least 1", concurrency)
        _require(ordering in ("key", "partition", "none"), "unknown ordering", ordering)
        _require(max_in_flight is None or max_in_flight >= 1, "max_in_flight < 1", max_in_flight)
        _require(drain_timeout >= 0, "drain_timeout must not be negative", drain_timeout)
        _require(start_at in ("earliest", "latest"), "unknown start_at", start_at)
        _require(retry is None or isinstance(retry, RetryPolicy), "retry: no RetryPolicy", retry)
        _require(all(map(callable, middlewares)), "a middleware is a callable", middlewares)
        _require(wire is None or isinstance(wire, WireFormat), "wire: no WireFormat", wire)
        _require(len(codecs) > 0, "codecs must name at least one", codecs)
        self._backend = backend_from(backend)
        self._group = group
        self._concurrency = concurrency
        self._ordering: Ordering = ordering
        self._max_in_flight = max_in_flight or 16 * concurrency
        self._drain_timeout = drain_timeout
        self._start_at: StartAt = start_at
        self._wire = wire or CloudEvents()
        self._defaults = Defaults(
            codecs=Codecs(codecs),
            retry=retry or RetryPolicy(),
            dead_letter=checked(dead_letter),
            middlewares=tuple(middlewares),
        )
        self._handlers = HandlerGroup()
        self._engine: Engine | None = None
        self._life: asyncio.Task[None] | None = None
        self.outcomes = Outcomes()

    def add_handler_group(self, group: HandlerGroup) -> None:
        """Take the handlers of a group; those that it is given later too, until the start."""
        self._handlers.add_handler_group(group)

    async def listen(self) -> None:
        """Handle events until stopped, by `stop`, SIGTERM or SIGINT; then drain.

        A second signal cuts the draining short.

        Raises, before anything is handled:
            ConfigurationError: a handler, a dependency or a topic that cannot work.
            BrokerUnreachable: no connection within the backend's connect timeout.
        Raises, after draining:
            EventHalted: an event that could not be handled, under the policy ``"halt"``.
            TransportError: the broker refuses to go on.
        """
        async with self:
            with stopping_on_signals(self._begin_stop, self._cut_short):
                await self.stopped()

    async def stopped(self) -> None:
        """Wait until the listener has ended; raises what ended it."""
        if self._life is None:
            raise NotRunning("the listener is not running")
        await asyncio.shield(self._life)

    async def stop(self) -> None:
        """Stop taking events in, let running handlers finish, settle, leave the group.

        Handlers that still run after ``drain_timeout`` are cancelled; their events are left to the
        broker, like those that have not started. Without effect when it is not running.
        """
        self._begin_stop()
        if self._life is not None:
            await asyncio.wait([self._life])

    async def __aenter__(self) -> Self:
        """Check the wiring, connect, join the group, and handle events in the background."""
        if self._life is not None:
            raise AlreadyRunning("the listener is running already: enter it once")
        routes = self._planned()
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(routes, started), name="dispytch-listener")
        try:
            await asyncio.wait({self._life, started}, return_when=asyncio.FIRST_COMPLETED)
            if self._life.done():
                await self._life
        except BaseException:
            self._life.cancel()
            self._life = None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, as `stop` does; raise what ended the listener, if it did not end by itself."""
        await self.stop()
        life, self._life, self._engine = self._life, None, None
        if life is not None and error is None:
            await life

    def _planned(self) -> Sequence[PlannedRoute]:
        routes = plan_routes(self._handlers.registrations(), _PROVIDED)
        _require(len(routes) > 0, "there are no handlers; call add_handler_group first", routes)
        return routes

    async def _live(self, planned: Sequence[PlannedRoute], started: "asyncio.Future[None]") -> None:
        async with AsyncExitStack() as stack:
            values: dict[type, object] = {}
            if any(EventEmitter in route.plan.provided for route in planned):
                codec = self._defaults.codecs.writer
                emitter = EventEmitter(
                    self._backend, source=self._group, wire=self._wire, codec=codec
                )
                values[EventEmitter] = await stack.enter_async_context(emitter)
            # As many as events are handled at once; each is started when it is first needed.
            threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix="dispytch")
            stack.callback(threads.shutdown, wait=False, cancel_futures=True)
            router = Router(route.bind(self._defaults, values, threads) for route in planned)
            await self._backend.prepare(Topology(topics=router.topics, group=self._group))
            self._engine = engine = self._made_engine(router)
            consumer = await stack.enter_async_context(
                self._backend.consumer(self._subscription(router), engine.revoke)
            )
            logger.info("group %r listens to %s", self._group, ", ".join(router.topics))
            started.set_result(None)
            await engine.run(consumer)

    def _made_engine(self, router: Router) -> Engine:
        handling = Handling(
            read=self._wire.reader(self._backend.features.attribute_prefixes),
            router=router,
            unreadable=self._defaults.dead_letter,
            outcomes=self.outcomes,
            clock=asyncio.get_running_loop().time,
        )
        return Engine(
            handling,
            ordering=self._ordering,
            concurrency=self._concurrency,
            drain_timeout=self._drain_timeout,
        )

    def _subscription(self, router: Router) -> Subscription:
        return Subscription(
            group=self._group,
            topics=router.topics,
            max_in_flight=self._max_in_flight,
            start_at=self._start_at,
            drain_timeout=self._drain_timeout,
        )

    def _begin_stop(self) -> None:
        if self._engine is not None:
            self._engine.stop()

    def _cut_short(self) -> None:
        if self._engine is not None:
            self._engine.cut_short()


def _require(met: bool, text: str, value: object) -> None:
    if not met:
        raise ConfigurationError(f"EventListener: {text} (given: {value!r})")
