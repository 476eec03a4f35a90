"""One life of a listener: from the connection to the last settlement."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from dispytch.checkup import Checkup
from dispytch.circuit_breaker import Circuit
from dispytch.clock import Clock
from dispytch.connecting import waiting_consumer, waiting_producer
from dispytch.dead_letters import DeadLetterTopic, Failure
from dispytch.delivery import (
    Admission,
    Aftermath,
    BatchEngine,
    BatchHandling,
    Broker,
    Engine,
    Handling,
    Keeper,
    Lanes,
    Lookups,
    Observer,
    Outcomes,
    Partings,
    keeping,
)
from dispytch.delivery.attempt import Parting
from dispytch.delivery.keeper import WINDOW
from dispytch.dependencies import Step, app_scope
from dispytch.emitter import EventEmitter
from dispytch.exceptions import TopologyError
from dispytch.health import Health
from dispytch.loops import HomeLoop
from dispytch.messages import Delivery
from dispytch.opening import Opening
from dispytch.redelivery import dead_topic, holding_topics, replay_group, retry_topic
from dispytch.routing import Handler, PlannedRoute, Route, Router
from dispytch.settings import Settings
from dispytch.signing import for_retry
from dispytch.transport import Backend, Consumer, Producer, Subscription, Topology

logger: logging.Logger = logging.getLogger("dispytch")

PROVIDED: Final = (EventEmitter,)
"""The types that a parameter of a handler or a dependency may simply ask for."""

_LOOK_EVERY: Final = 1.0
_LOOK_AT_MOST_EVERY: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Running:
    """What a service has once it has started."""

    engine: Engine
    consumer: Consumer
    checkup: Checkup


class Service:
    """Connects, prepares the topics, joins the group, and runs events until it is stopped.

    clock: the event loop's if not given.
    observer: is told of failures.
    keeps_back: whether events may wait in holding topics, by the clock on the wall.
    """

    def __init__(
        self,
        settings: Settings,
        planned: Sequence[PlannedRoute],
        app_steps: Sequence[Step],
        outcomes: Outcomes,
        *,
        clock: Clock | None = None,
        observer: Observer | None = None,
        keeps_back: bool = True,
    ) -> None:
        self._settings = settings
        self._defaults = settings.defaults
        self._planned = planned
        self._app_steps = app_steps
        self._outcomes = outcomes
        self._clock = clock or Clock.of_loop()
        self._holds = keeps_back and _needs_holding(settings, planned)
        self._keeper: Keeper | None = None
        self._aftermath = Aftermath(
            group=settings.group,
            broker=_broker(settings.backend, holds=self._holds),
            outcomes=outcomes,
            clock=self._clock,
            observer=observer,
        )
        breaker = settings.circuit_breaker
        self._circuit = None if breaker is None else Circuit(breaker, self._clock.time)
        self._lookups = Lookups()
        self._opening = Opening()
        self.home: Final = HomeLoop("the listener")
        self._running: _Running | None = None
        self._life: asyncio.Task[None] | None = None
        self._at_the_end: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Begin to live, in a task of its own; return once the group is joined.

        It returns as well when the service was stopped before that, and has ended.

        Raises:
            ConfigurationError, TransportError: as `EventListener.listen` says; what had been made
                is torn down.
        """
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life = life = asyncio.create_task(self._live(started), name="dispytch-service")
        life.add_done_callback(self._end)
        try:
            await asyncio.wait({life, started}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            # What has been made so far is torn down before anybody goes on.
            life.cancel()
            await asyncio.wait({life})
            raise
        if life.done():
            await life

    async def ended(self) -> None:
        """Wait until it has ended.

        Raises:
            EventHalted, TransportError, ConfigurationError: what has ended it.
        """
        if self._life is not None:
            await asyncio.shield(self._life)

    async def gone(self) -> None:
        """Wait until it has ended, of whatever."""
        if self._life is not None:
            await asyncio.wait({self._life})

    def when_ended(self, call: Callable[[], None]) -> None:
        """Have something called when it has ended."""
        self._at_the_end.append(call)

    def _end(self, _: object) -> None:
        for call in self._at_the_end:
            call()

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._life is not None and self._life.done()

    async def _live(self, started: "asyncio.Future[None]") -> None:
        self._clock.govern()
        async with AsyncExitStack() as stack:
            for codec in self._settings.codecs:
                stack.push_async_callback(codec.close)
            with self._opening as opening:
                self._running = await self._open(stack, opening)
            running = self._running
            if running is None:
                logger.info("group %r was stopped while it started", self._settings.group)
                return
            stack.callback(running.checkup.end)
            running.checkup.begin()
            started.set_result(None)
            await running.engine.run(running.consumer)

    async def _open(self, stack: AsyncExitStack, opening: Opening) -> "_Running":
        """Make all that it takes to run, step by step; ``stack`` closes what is made."""
        settings = self._settings
        opening.step()
        # As many as events are handled at once; each is started when it is first needed.
        threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="dispytch")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        waits = settings.connect == "wait"
        producer = await stack.enter_async_context(
            waiting_producer(settings.backend) if waits else settings.backend.producer()
        )
        values = self._values(producer, stack)
        opening.step()
        of_app = await stack.enter_async_context(app_scope(self._app_steps, values, threads))
        opening.step()
        routes = [route.bind(self._defaults, values, threads, of_app) for route in self._planned]
        router = Router(routes, self._dead_topics(routes))
        topics = (*router.topics, retry_topic(settings.group))
        subscription = self._subscription(router, topics)

        async def prepare() -> None:
            for topology in self._topologies(router, topics):
                opening.step()
                try:
                    await settings.backend.prepare(topology)
                except TopologyError as error:
                    raise _with_handlers(error, router) from error
            opening.step()
            await self._prepare_last_resort(router)

        if not waits:
            await prepare()
        partings = Partings(
            producer,
            self._outcomes,
            self._clock,
            group=settings.group,
            signer=settings.signer,
        )
        engine = self._made_engine(router, partings)
        consumer = await stack.enter_async_context(
            waiting_consumer(settings.backend, subscription, engine.revoke, prepare)
            if waits
            else settings.backend.consumer(subscription, engine.revoke)
        )
        if self._holds:
            opening.step()
            await stack.enter_async_context(self._keeping(partings, engine, prepare))
        opening.step()
        listens_to = [*router.topics, *(pattern.text for pattern in router.patterns)]
        logger.info("group %r listens to %s", settings.group, ", ".join(listens_to))
        return _Running(engine, consumer, self._looked_after(consumer, engine, partings))

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by their names."""
        return {route.name: route.registration.handler for route in self._planned}

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of the handlers, sorted."""
        return tuple(sorted({route.topic for route in self._planned}))

    def stop(self) -> None:
        """Begin to drain, or call the start off; `ended` returns when that is done."""
        if self._running is not None:
            self._running.engine.stop()
        else:
            self._opening.call_off()

    @property
    def at_rest(self) -> bool:
        """Whether nothing runs of what was received, and nothing can before the clock moves on."""
        return self._running is None or self._running.engine.at_rest

    def runs(self, task: "asyncio.Task[object] | None") -> bool:
        """Whether a task is one that handlers, or what is app-scoped, run in."""
        if task is not None and task is self._life:
            return True
        return self._running is not None and self._running.engine.runs(task)

    def cut_short(self) -> None:
        """Stop, and do not wait for handlers that are running."""
        if self._running is not None:
            self._running.engine.cut_short()
        else:
            self._opening.call_off()

    async def health(self) -> Health:
        """See `EventListener.health`."""
        if self._running is None:
            return Health(problems=("the listener is still starting",))
        return await self._running.checkup.health(self._aftermath.last_error)

    def _looked_after(self, consumer: Consumer, engine: Engine, partings: Partings) -> Checkup:
        def conditions() -> Mapping[str, str | None]:
            return {
                "stuck": self._stuck(engine),
                "circuit": None if self._circuit is None else self._circuit.problem,
                "sending": partings.trouble,
                "schemas": self._lookups.trouble,
                **(self._keeper.problems if self._keeper is not None else {}),
            }

        stuck_after = self._settings.stuck_after
        interval = min(_LOOK_EVERY, max(_LOOK_AT_MOST_EVERY, stuck_after))
        return Checkup(self._settings.group, consumer, engine, conditions, interval=interval)

    def _keeping(
        self, partings: Partings, engine: Engine, prepare: Callable[[], Awaitable[None]]
    ) -> AbstractAsyncContextManager[None]:
        """The keeper at work, until the engine has ended; its end of an error ends the engine."""
        settings = self._settings

        def give_up(delivery: Delivery, failure: Failure) -> Parting | None:
            return self._aftermath.give_up(self._defaults.dead_letter, delivery, failure)

        self._keeper = keeper = Keeper(settings.group, partings, give_up, self._clock, self._check)
        subscription = Subscription(
            group=retry_topic(settings.group),
            topics=holding_topics(settings.group),
            max_in_flight=WINDOW,
            drain_timeout=settings.drain_timeout,
        )
        consuming = (
            waiting_consumer(settings.backend, subscription, keeper.revoke, prepare)
            if settings.connect == "wait"
            else settings.backend.consumer(subscription, keeper.revoke)
        )
        return keeping(consuming, keeper, drain_timeout=settings.drain_timeout, failed=engine.stop)

    @property
    def _check(self) -> Callable[[Delivery], None] | None:
        """What refuses a delivery in the group's own topics without the group's signature."""
        signer, purpose = self._settings.signer, for_retry(self._settings.group)
        return None if signer is None else partial(signer.check, purpose=purpose)

    def _stuck(self, engine: Engine) -> str | None:
        age, limit = engine.oldest, self._settings.stuck_after
        if age is None or age <= limit:
            return None
        return f"an event is unsettled for {age:.0f} s, more than stuck_after={limit:g}"

    def _values(self, producer: Producer, stack: AsyncExitStack) -> Mapping[type, object]:
        """What parameters that ask for a type by name are given."""
        settings = self._settings
        emitter = EventEmitter.over(
            producer,
            settings.backend,
            source=settings.group,
            wire=settings.wire,
            codec=self._defaults.codecs.writer,
            signer=settings.signer,
            max_body_bytes=settings.max_body_bytes,
        )
        # After the engine has drained, so that handlers have their replies until then.
        stack.push_async_callback(emitter.end_requests)
        return {EventEmitter: emitter}

    def _topologies(self, router: Router, topics: tuple[str, ...]) -> Iterator[Topology]:
        """What the broker is to have: the topics of the group, then those of its dead letters."""
        settings = self._settings
        yield Topology(
            topics=topics,
            group=settings.group,
            patterns=router.patterns,
            carriers=(retry_topic(settings.group),),
            sources=router.topics,
            source_patterns=router.patterns,
        )
        if self._holds:
            holding = holding_topics(settings.group)
            yield Topology(
                topics=holding,
                group=retry_topic(settings.group),
                carriers=holding,
                sources=router.topics,
                source_patterns=router.patterns,
            )
        if dead := self._dead_topics(router.routes):
            # The group that will read them makes a broker with queues keep them.
            yield self._carrying(router, *sorted(dead))

    def _dead_topics(self, routes: Iterable[Route]) -> set[str]:
        """The dead-letter topics of these handlers."""
        settings = self._settings
        return {
            policy.of(route.topic_name, settings.group)
            for route in routes
            for policy in (route.dead_letter, self._defaults.dead_letter, settings.unhandled)
            if isinstance(policy, DeadLetterTopic)
        }

    def _carrying(self, router: Router, *topics: str) -> Topology:
        """Topics for the dead letters of what the handlers take."""
        return Topology(
            topics=topics,
            group=replay_group(self._settings.group),
            carriers=topics,
            sources=router.topics,
            source_patterns=router.patterns,
        )

    async def _prepare_last_resort(self, router: Router) -> None:
        """Have the group's own dead-letter topic; where that cannot be, it is done without."""
        settings = self._settings
        topic = dead_topic(settings.group)
        try:
            await settings.backend.prepare(self._carrying(router, topic))
        except TopologyError as error:
            logger.warning(
                "group %r has no dead-letter topic of its own, %r: what its other topics do not "
                "take stays unsettled, and health will say so: %s",
                settings.group,
                topic,
                error,
            )

    def _made_engine(self, router: Router, partings: Partings) -> Engine:
        settings = self._settings
        takes_batches = any(route.batching is not None for route in router.routes)
        handling = (BatchHandling if takes_batches else Handling)(
            admission=Admission(
                read=settings.wire.reader(settings.backend.features.attribute_prefixes),
                router=router,
                lookups=self._lookups,
                clock=self._clock,
                max_body_bytes=settings.max_body_bytes,
                check=self._check,
            ),
            retry_topic=retry_topic(settings.group),
            unreadable=self._defaults.dead_letter,
            unhandled=settings.unhandled,
            aftermath=self._aftermath,
            partings=partings,
            outcomes=self._outcomes,
            clock=self._clock,
            circuit=self._circuit,
            holding_group=settings.group if self._holds else None,
        )
        fill_gaps = settings.backend.features.position_per_stream
        if isinstance(handling, BatchHandling):
            return BatchEngine(
                handling,
                window=settings.window,
                ordering=settings.ordering,
                fill_gaps=fill_gaps,
                concurrency=settings.concurrency,
                drain_timeout=settings.drain_timeout,
                circuit=self._circuit,
                clock=self._clock,
            )
        return Engine(
            handling.handle,
            lanes=Lanes(settings.ordering, fill_gaps=fill_gaps),
            concurrency=settings.concurrency,
            drain_timeout=settings.drain_timeout,
            circuit=self._circuit,
            clock=self._clock,
        )

    def _subscription(self, router: Router, topics: tuple[str, ...]) -> Subscription:
        settings = self._settings
        return Subscription(
            group=settings.group,
            topics=topics,
            patterns=router.patterns,
            max_in_flight=settings.window,
            start_at=settings.start_at,
            drain_timeout=settings.drain_timeout,
        )


def _with_handlers(error: TopologyError, router: Router) -> TopologyError:
    """The error, with the names of the handlers that take the topic it is about."""
    names = [route.name for route in router.routes if route.topic == error.topic]
    if not names:
        return error
    return TopologyError(f"handler {', '.join(names)}: {error}", topic=error.topic)


def _broker(backend: Backend, *, holds: bool) -> Broker:
    features = backend.features
    return Broker(
        delay=features.delay,
        rereads=features.rereads,
        hold_limit=features.hold_limit,
        holds=holds,
    )


def _needs_holding(settings: Settings, planned: Sequence[PlannedRoute]) -> bool:
    """Whether events may have to wait for long at a broker that keeps nothing back."""
    features = settings.backend.features
    if features.delay:
        return False
    default = settings.defaults.retry
    delayed = any((route.registration.retry or default).delayed for route in planned)
    return delayed or features.hold_limit is not None
