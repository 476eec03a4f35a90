"""Listening to events."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dispytch.backends import backend_from
from dispytch.circuit_breaker import CircuitBreaker
from dispytch.clock import Clock
from dispytch.connecting import Connect
from dispytch.dead_letters import DeadLetterTopic, FailurePolicy, Unhandled
from dispytch.delivery import Observer, Ordering, Outcomes
from dispytch.dependencies import Overrides, Wiring
from dispytch.dependencies.dependency import Provider
from dispytch.dependencies.dependency import checked as checked_dependencies
from dispytch.exceptions import AlreadyRunning, InvalidHandler, NotRunning
from dispytch.health import Health
from dispytch.middleware import Middleware
from dispytch.retry import RetryPolicy
from dispytch.routing import BatchLimits, HandlerGroup, PlannedRoute, plan_routes
from dispytch.serialization import CloudEvents, Codec, JsonCodec, WireFormat
from dispytch.serialization.limits import MAX_BODY_BYTES
from dispytch.service import PROVIDED, Service
from dispytch.settings import Settings, require
from dispytch.signals import stopping_on_signals
from dispytch.signing import Signer, SigningKey
from dispytch.transport import Backend, StartAt

if TYPE_CHECKING:
    from dispytch.probe import Pace, Probe


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
    dependencies: run before every handler, in their order, see `HandlerGroup.handler`.
    drain_timeout: seconds that running handlers have to finish when the listener stops or a
        partition is revoked.
    start_at: where a group that is new to a topic begins.
    stuck_after: seconds after which an unsettled event makes `health` red.
    connect: ``"fail"``: the start fails while the broker cannot be reached. ``"wait"``: it does
        not, and the listener makes its topics and joins its group when it can; until then `health`
        is red and says why, and emits in handlers fail as `EventEmitter` says.
    max_body_bytes: a body that is larger is not read, and counts as undecodable; 16 MiB if not
        given. With None, there is no limit but the broker's. It counts for the replies to requests
        of handlers, too.
    circuit_breaker: pauses while everything fails, see `CircuitBreaker`; none if not given.
    reply_topics: topics or patterns that replies may go to, beside those of dispytch's own
        requesters.
    signing_key: signs what comes back to the group, its dead letters, and replies; what then comes
        back without its signature is not handled, and replies to requests from handlers must have
        it. At least 16 bytes; of several keys the first signs, and each is taken. Every member of
        the group, `DeadLetters` and whoever sends requests needs it.
    wire, codecs: the formats that are read, and that an emitter in a handler writes.

    ``outcomes`` counts what became of events. ``overrides[get_db] = fake`` has ``fake`` called
    in the place of a dependency, from the next start on, see `Overrides`.

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
        dependencies: Sequence[Any] = (),
        drain_timeout: float = 30.0,
        start_at: StartAt = "earliest",
        stuck_after: float = 300.0,
        connect: Connect = "fail",
        max_body_bytes: int | None = MAX_BODY_BYTES,
        circuit_breaker: CircuitBreaker | None = None,
        wire: WireFormat | None = None,
        codecs: Sequence[Codec] = (JsonCodec(),),
        reply_topics: Sequence[str] = (),
        signing_key: SigningKey | Sequence[SigningKey] | None = None,
    ) -> None:
        made = backend_from(backend)
        self._settings = Settings(
            backend=made,
            signer=Signer.of("EventListener", signing_key, made.features),
            group=group,
            concurrency=concurrency,
            ordering=ordering,
            max_in_flight=max_in_flight,
            drain_timeout=drain_timeout,
            start_at=start_at,
            stuck_after=stuck_after,
            connect=connect,
            max_body_bytes=max_body_bytes,
            wire=CloudEvents() if wire is None else wire,
            codecs=codecs,
            reply_topics=reply_topics,
            retry=retry,
            dead_letter=dead_letter,
            unhandled=unhandled,
            middlewares=middlewares,
            dependencies=checked_dependencies(dependencies),
            circuit_breaker=circuit_breaker,
        )
        self._handlers = HandlerGroup()
        self._service: Service | None = None
        self.outcomes: Outcomes = Outcomes()
        self.overrides: Overrides = Overrides()

    def add_handler_group(self, group: HandlerGroup) -> None:
        """Take the handlers of a group; those that it is given later too, until the start.

        Raises:
            InvalidHandler: the listener runs already.
        """
        self._handlers.add_handler_group(group)

    async def listen(self) -> None:
        """Handle events until stopped, by `stop`, SIGTERM or SIGINT; then drain.

        A signal during the start calls the start off: what has been made so far is torn down, and
        this returns. A second signal cuts the draining short.

        Raises, before anything is handled:
            ConfigurationError: a handler, a dependency or a topic that cannot work; an app-scoped
                dependency that could not be made.
            BrokerUnreachable: no connection within the backend's connect timeout.
        Raises, after draining:
            EventHalted: an event that could not be handled, under the policy ``"halt"``.
            TransportError: the broker refuses to go on.
        """
        with stopping_on_signals(self._begin_stop, self._cut_short):
            async with self:
                await self.stopped()

    async def stopped(self) -> None:
        """Wait until the listener has ended; raises what ended it."""
        if self._service is None:
            raise NotRunning("the listener is not running")
        self._service.home.check()
        await self._service.ended()

    async def stop(self) -> None:
        """Stop taking events in, let running handlers finish, settle, leave the group.

        Handlers that still run after ``drain_timeout`` are cancelled; their events are left to the
        broker, like those that have not started. While the listener starts, the start is called
        off, and what has been made so far is torn down. Without effect when it is not running.
        From within a handler, or what is app-scoped, it only begins to stop: the one who calls is
        one of those that are waited for.

        Raises:
            NotRunning: it runs in another event loop.
        """
        service = self._service
        if service is None:
            return
        service.home.check()
        service.stop()
        if not service.runs(asyncio.current_task()):
            await service.gone()

    async def health(self) -> Health:
        """How it is: whether the broker answers, what waits there, what is stuck here.

        Takes a few seconds at most, when the broker does not answer.
        """
        if self._service is None or self._service.has_ended:
            return Health(problems=("the listener is not running",))
        self._service.home.check()
        return await self._service.health()

    def test(
        self,
        *,
        overrides: Mapping[Callable[..., Any], Provider] | None = None,
        clock: "Pace" = "auto",
        patience: float = 5.0,
        read_elsewhere: Collection[str] = (),
    ) -> "Probe":
        """This listener's service for a test: in memory, its broker is not looked for.

        Everything else is real: routing, validation, dependencies, middlewares, retries, dead
        letters. Each call makes a broker of its own. The listener itself is left as it is, and may
        be tested any number of times::

            async with listener.test() as probe:
                await probe.emit(OrderPlaced(number=1))
                await probe.settled()
                assert probe.emitted.of(OrderPaid) == [OrderPaid(number=1)]

        overrides: what is called in the place of dependencies, as in ``{get_db: FakeDb}``, beside
            the listener's own ``overrides``.
        clock: with ``"auto"``, time runs, and `Probe.settled` jumps to what is due next; with
            ``"manual"`` it stands still until `Probe.advance` moves it.
        patience: real seconds that `Probe.settled` waits at most.
        read_elsewhere: topics, or patterns, that other services read. Where the listener's broker
            keeps what nobody reads yet, they make no difference; where it refuses that, or drops
            it, the test's does so as well, for every topic that nobody reads.
        """
        # Only those who test need it.
        from dispytch.probe import Probe

        made = partial(self._made, overrides or {})
        return Probe(
            made,
            self._settings,
            clock=clock,
            patience=patience,
            read_elsewhere=read_elsewhere,
        )

    async def __aenter__(self) -> Self:
        """Check the wiring, connect, join the group, and handle events in the background.

        App-scoped dependencies are made before the group is joined. If it is stopped meanwhile,
        this returns once what has been made is torn down, and `stopped` returns at once.
        """
        if self._service is not None:
            raise AlreadyRunning("the listener is running already: enter it once")
        routes, wiring = self._wired(self.overrides)
        self._service = self._using(
            Service(self._settings, routes, wiring.app_steps, self.outcomes)
        )
        try:
            await self._service.start()
        except BaseException:
            self._service = None
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
        service, self._service = self._service, None
        if service is not None and error is None:
            await service.ended()

    def _made(
        self,
        more: Mapping[Callable[..., Any], Provider],
        settings: Settings,
        outcomes: Outcomes,
        clock: Clock,
        observer: Observer,
    ) -> Service:
        overrides = Overrides()
        overrides.update(self.overrides)
        overrides.update(more)
        routes, wiring = self._wired(overrides)
        return self._using(
            Service(
                settings,
                routes,
                wiring.app_steps,
                outcomes,
                clock=clock,
                observer=observer,
                keeps_back=False,
            )
        )

    def _using(self, service: Service) -> Service:
        """The service; while it runs, no handlers can be added, as they would never run."""
        self._handlers.begin_use(service)
        service.when_ended(lambda: self._handlers.end_use(service))
        return service

    def _wired(self, overrides: Overrides) -> tuple[Sequence[PlannedRoute], Wiring]:
        wiring = Wiring(PROVIDED, overrides)
        routes = self._planned(wiring)
        require(len(routes) > 0, "there are no handlers; call add_handler_group first", routes)
        if wiring.unused:
            # An override may hide another one: what counts is what is asked for without any.
            plain = Wiring(PROVIDED)
            self._planned(plain)
            wiring.check_unused(plain)
        return routes, wiring

    def _planned(self, wiring: Wiring) -> Sequence[PlannedRoute]:
        registrations = self._handlers.registrations()
        routes = plan_routes(
            registrations, wiring, self._settings.middlewares, self._settings.dependencies
        )
        backend = self._settings.backend
        for route in routes:
            if route.pattern is not None and not backend.features.wildcards:
                raise InvalidHandler(
                    f"handler {route.name} takes the pattern {route.topic!r}, but "
                    f"{type(backend).__name__} has no wildcards; register it for each topic by name"
                )
        self._batch_limits.check(routes)
        return routes

    @property
    def _batch_limits(self) -> BatchLimits:
        settings = self._settings
        return BatchLimits(
            window=settings.window,
            whole_streams=settings.ordering == "partition",
            stuck_after=settings.stuck_after,
            hold_limit=settings.backend.features.hold_limit,
        )

    def _begin_stop(self) -> None:
        if self._service is not None:
            self._service.stop()

    def _cut_short(self) -> None:
        if self._service is not None:
            self._service.cut_short()
