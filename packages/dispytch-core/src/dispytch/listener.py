"""Listening to events."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self, cast

from dispytch.backends import backend_from
from dispytch.circuit_breaker import CircuitBreaker
from dispytch.dead_letters import (
    DeadLetterTopic,
    FailurePolicy,
    Unhandled,
    checked,
    checked_unhandled,
)
from dispytch.delivery import Ordering, Outcomes
from dispytch.exceptions import AlreadyRunning, ConfigurationError, NotRunning
from dispytch.health import Health
from dispytch.middleware import Middleware
from dispytch.retry import RetryPolicy
from dispytch.routing import Defaults, HandlerGroup, PlannedRoute, plan_routes
from dispytch.serialization import CloudEvents, Codec, Codecs, JsonCodec, WireFormat
from dispytch.service import PROVIDED, Service, Settings
from dispytch.signals import stopping_on_signals
from dispytch.transport import Backend, StartAt


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
    unhandled: what becomes of events that no handler takes.
    middlewares: around every handler, the first one outermost.
    drain_timeout: seconds that running handlers have to finish when the listener stops or a
        partition is revoked.
    start_at: where a group that is new to a topic begins.
    stuck_after: seconds after which an unsettled event makes `health` red.
    circuit_breaker: pauses while everything fails, see `CircuitBreaker`; none if not given.
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
        dead_letter: FailurePolicy = DeadLetterTopic(),  # noqa: B008 - it is frozen
        unhandled: Unhandled = "ignore",
        middlewares: Sequence[Middleware] = (),
        drain_timeout: float = 30.0,
        start_at: StartAt = "earliest",
        stuck_after: float = 300.0,
        circuit_breaker: CircuitBreaker | None = None,
        wire: WireFormat | None = None,
        codecs: Sequence[Codec] = (JsonCodec(),),
    ) -> None:
        _require(isinstance(group, str) and group != "", "group must be a name", group)
        _require(_whole(concurrency), "concurrency must be at least 1", concurrency)
        _require(ordering in ("key", "partition", "none"), "unknown ordering", ordering)
        _require(
            max_in_flight is None or _whole(max_in_flight),
            "max_in_flight must be at least 1",
            max_in_flight,
        )
        _require(_seconds(drain_timeout), "drain_timeout must not be negative", drain_timeout)
        _require(start_at in ("earliest", "latest"), "unknown start_at", start_at)
        _require(_seconds(stuck_after), "stuck_after must be seconds", stuck_after)
        _require(retry is None or isinstance(retry, RetryPolicy), "retry: no RetryPolicy", retry)
        _require(
            isinstance(middlewares, Sequence) and all(map(callable, middlewares)),
            "middlewares are callables",
            middlewares,
        )
        _require(
            circuit_breaker is None or isinstance(circuit_breaker, CircuitBreaker),
            "circuit_breaker: no CircuitBreaker",
            circuit_breaker,
        )
        _require(wire is None or isinstance(wire, WireFormat), "wire: no WireFormat", wire)
        _require(_all(codecs, Codec), "codecs must name at least one Codec", codecs)
        self._settings = Settings(
            backend=backend_from(backend),
            group=group,
            concurrency=concurrency,
            ordering=ordering,
            max_in_flight=max_in_flight or 16 * concurrency,
            drain_timeout=drain_timeout,
            start_at=start_at,
            stuck_after=stuck_after,
            wire=wire or CloudEvents(),
            defaults=Defaults(
                codecs=Codecs(codecs),
                retry=retry or RetryPolicy(),
                dead_letter=checked(dead_letter),
                middlewares=tuple(middlewares),
            ),
            unhandled=checked_unhandled(unhandled),
            circuit_breaker=circuit_breaker,
        )
        self._handlers = HandlerGroup()
        self._service: Service | None = None
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
        broker, like those that have not started. Without effect when it is not running. From
        within a handler it only begins to stop: the handler is one of those that are waited for.
        """
        self._begin_stop()
        within = self._service is not None and self._service.runs(asyncio.current_task())
        if self._life is not None and not within:
            await asyncio.wait([self._life])

    async def health(self) -> Health:
        """How it is: whether the broker answers, what waits there, what is stuck here.

        Takes a few seconds at most, when the broker does not answer.
        """
        if self._service is None or self._life is None or self._life.done():
            return Health(problems=("the listener is not running",))
        return await self._service.health()

    async def __aenter__(self) -> Self:
        """Check the wiring, connect, join the group, and handle events in the background."""
        if self._life is not None:
            raise AlreadyRunning("the listener is running already: enter it once")
        self._service = Service(self._settings, self._planned(), self.outcomes)
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._service.live(started), name="dispytch-listener")
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
        life, self._life, self._service = self._life, None, None
        if life is not None and error is None:
            await life

    def _planned(self) -> Sequence[PlannedRoute]:
        routes = plan_routes(self._handlers.registrations(), PROVIDED)
        _require(len(routes) > 0, "there are no handlers; call add_handler_group first", routes)
        return routes

    def _begin_stop(self) -> None:
        if self._service is not None:
            self._service.stop()

    def _cut_short(self) -> None:
        if self._service is not None:
            self._service.cut_short()


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0


def _all(values: object, kind: type) -> bool:
    if not isinstance(values, Sequence):
        return False
    found = cast("Sequence[object]", values)
    return len(found) > 0 and all(isinstance(one, kind) for one in found)


def _require(met: bool, text: str, value: object) -> None:
    if not met:
        raise ConfigurationError(f"EventListener: {text} (given: {value!r})")
