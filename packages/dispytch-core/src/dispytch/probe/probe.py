"""A service under test, as its author sees it."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from dispytch.delivery import Outcomes
from dispytch.emitter import EventEmitter
from dispytch.events import Event, EventBase
from dispytch.exceptions import (
    AlreadyRunning,
    BrokerUnreachable,
    ConfigurationError,
    NotRunning,
)
from dispytch.health import Health
from dispytch.messages import Message
from dispytch.probe.clock import Pace
from dispytch.probe.emitted import Emitted
from dispytch.probe.faults import Fault, Kind
from dispytch.probe.recorder import History
from dispytch.probe.records import (
    DeadLettered,
    Dropped,
    Failed,
    GivenUp,
    HandledRecords,
    Handler,
    Records,
    Skipped,
    Unhandled,
)
from dispytch.probe.trial import MakeService, Trial
from dispytch.probe.verdict import Verdict
from dispytch.settings import Settings
from dispytch.templates import Template
from dispytch.transport import Backend, Producer

Text = str | bytes
G = TypeVar("G", bound=GivenUp)


class Probe:
    """A listener's service, running in memory, and what becomes of its events.

    `dispytch.EventListener.test` makes one: an async context manager, entered once. Leaving it
    waits as `settled` does, then ends the service. Everything that was seen stays readable.

    A failure cannot go by unseen: when an event was given up, and the test has looked at neither
    `failed` nor `dead_lettered` nor `dropped` since, the leaving raises
    `dispytch.exceptions.UnseenFailure`. When the test fails itself, its error gets a note of what
    happened instead. Faults that the test has asked for don't count.

    clock: see `dispytch.EventListener.test`. patience: real seconds that `settled` waits at most.
    """

    def __init__(
        self,
        make: MakeService,
        settings: Settings,
        *,
        clock: Pace,
        patience: float,
        read_elsewhere: Collection[str] = (),
    ) -> None:
        if clock not in ("auto", "manual"):
            raise ConfigurationError(f"a probe's clock is 'auto' or 'manual', not {clock!r}")
        if not isinstance(patience, int | float) or not patience > 0:
            raise ConfigurationError(f"a probe's patience is positive seconds, not {patience!r}")
        self._make = make
        self._settings = settings
        self._read_elsewhere = read_elsewhere
        self._pace: Pace = clock
        self._patience = patience
        self._stack = AsyncExitStack()
        self._entered: Trial | None = None
        self._verdict: Verdict
        self._emitter: EventEmitter
        self._test_emitter: EventEmitter
        self._producer: Producer

    async def __aenter__(self) -> Self:
        """Check the wiring and start; raises what a listener raises at its start."""
        if self._entered is not None:
            raise AlreadyRunning("a probe is entered once: call listener.test() for each test")
        settings = self._settings
        trial = Trial(
            self._make,
            settings,
            pace=self._pace,
            patience=self._patience,
            read_elsewhere=self._read_elsewhere,
        )
        wire, codec = settings.wire, settings.defaults.codecs.writer
        await trial.start()
        self._producer = await self._stack.enter_async_context(trial.backend.test_producer())
        self._test_emitter = EventEmitter.over(
            self._producer, trial.backend, source="test", wire=wire, codec=codec
        )
        emitter = EventEmitter(trial.backend, source=settings.group, wire=wire, codec=codec)
        self._emitter = await self._stack.enter_async_context(emitter)
        self._verdict = Verdict(trial.recorder)
        self._entered = trial
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait until all is settled, unless the test has failed; end the service; judge."""
        __tracebackhide__ = True
        trial = self._trial
        try:
            if error is None and trial.runs:
                await trial.settle()
        except BaseException as failure:
            self._verdict.explain(failure)
            raise
        finally:
            if error is not None:
                self._verdict.explain(error)
            await trial.stop(at_once=True)
            await self._stack.aclose()
            trial.close()
        if error is None:
            self._verdict.check()

    async def emit(
        self,
        event: EventBase,
        *,
        delay: timedelta | float | None = None,
        at: datetime | None = None,
    ) -> None:
        """Emit an event to the service, as `EventEmitter.emit` does; it is handled meanwhile.

        Raises:
            ConfigurationError: no handler of the listener reads its topic.
            Besides what `EventEmitter.emit` raises.
        """
        await self.emit_many([event], delay=delay, at=at)

    async def emit_many(
        self,
        events: Iterable[EventBase],
        *,
        delay: timedelta | float | None = None,
        at: datetime | None = None,
    ) -> None:
        """Emit events to the service, in this order; see `emit`."""
        batch = list(events)
        await self._test_emitter.emit_many(batch, delay=delay, at=at)
        for event in batch:
            self._check_read(Template(event.__topic__).fill(event))

    async def send(
        self,
        topic: str,
        value: Text,
        *,
        key: Text | None = None,
        headers: Mapping[str, Text] | None = None,
    ) -> None:
        """Send a message as it stands: bytes that nobody can read, or another program's.

        Raises:
            ConfigurationError: no handler of the listener reads the topic.
        """
        pairs = [(name, _bytes(text)) for name, text in (headers or {}).items()]
        body_key = None if key is None else _bytes(key)
        await self._send(Message(topic, _bytes(value), body_key, pairs))

    async def redeliver(self, event: EventBase | Event[Any]) -> None:
        """Have an event come once more, under the same id: a broker may do that at any time.

        event: one that was emitted, or as a handler got it.
        """
        if isinstance(event, EventBase):
            await self.emit(event)
        else:
            came = event.delivery
            await self._send(Message(came.topic, came.value, came.key, came.headers))

    async def settled(self) -> None:
        """Wait until every event has its outcome, and those that handlers emitted here as well.

        It never waits for what is still to come: with ``clock="auto"`` the clock jumps to when the
        next retry or delayed event is due, and, once nothing has happened for a second, to the
        timeout of a handler that still runs; with ``"manual"``, it returns when nothing can happen
        before `advance`.

        Raises:
            Unsettled: something still runs after ``patience``; the text says what, and for how
                long.
            EventHalted, TransportError: the service has ended of it.
            NotRunning: the service does not run.
        """
        await self._trial.settle()

    async def advance(self, seconds: float | timedelta) -> None:
        """Move the clock ahead, without waiting for it.

        It halts at all that is due on the way, retries, delayed events, timeouts, a circuit
        breaker's pause, in their order, and waits until the handlers have returned that run then;
        one that runs for longer than a quarter of a real second has the clock moved on under it.

        Raises:
            EventHalted, TransportError: the service has ended of it.
            NotRunning: the service does not run.
        """
        ahead = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        if not ahead >= 0:
            raise ConfigurationError(f"a clock is moved ahead, by seconds, not by {seconds!r}")
        await self._trial.advance(ahead)

    async def stop(self) -> None:
        """End the service as SIGTERM does: running handlers may finish. `start` starts it anew."""
        await self._trial.stop()

    async def crash(self) -> None:
        """End the service as SIGKILL does: what is not settled by now comes again after `start`.

        Handlers that run are cancelled, so that they don't go on beside the next service.
        """
        await self._trial.stop(at_once=True)

    async def start(self) -> None:
        """Start the service again, after `stop` or `crash`, at the same broker."""
        await self._trial.start()

    def fail(self, handler: Handler, error: Fault, *, times: int | None = 1) -> None:
        """Have the next runs of a handler raise an error, in its place; always, with None.

        Raises:
            ConfigurationError: the listener has no such handler.
        """
        recorder = self._trial.recorder
        recorder.faults.plan_failure(recorder.names(handler), error, times)

    def fail_emits(
        self,
        error: Fault | None = None,
        *,
        times: int | None = 1,
        of: type[EventBase] | None = None,
    ) -> None:
        """Have the broker refuse the next events that the service emits; always, with None.

        error: a `TransportError`; `BrokerUnreachable` if not given. of: those of one class alone.
        """
        self._refuse("emit", error, times, of)

    def fail_dead_letters(self, error: Fault | None = None, *, times: int | None = 1) -> None:
        """Have the broker refuse the next dead letters, as `fail_emits` does with events.

        Their events stay unsettled, and the service tries again.
        """
        self._refuse("dead letter", error, times, None)

    @property
    def handled(self) -> HandledRecords[Any]:
        """Handlers that returned, with the event each of them was given."""
        return HandledRecords(self._history.handled, self._trial.recorder.names)

    @property
    def skipped(self) -> Records[Skipped[Any]]:
        """Handlers that raised `Skip`, or duplicates that a middleware skipped."""
        return Records(self._history.skipped, self._trial.recorder.names)

    @property
    def failed(self) -> Records[Failed[Any]]:
        """Attempts that failed, those included that were followed by another."""
        self._verdict.look()
        return Records(self._history.failed, self._trial.recorder.names)

    @property
    def dead_lettered(self) -> Records[DeadLettered]:
        """Events that were given up, and whose dead letter the broker has."""
        self._verdict.look()
        return self._given_up(DeadLettered)

    @property
    def dropped(self) -> Records[Dropped]:
        """Events that were given up under the policy ``"drop"``."""
        self._verdict.look()
        return self._given_up(Dropped)

    @property
    def unhandled(self) -> Records[Unhandled]:
        """Events of types that no handler takes, and that were passed over."""
        return Records(self._history.unhandled, self._trial.recorder.names)

    @property
    def emitted(self) -> Emitted:
        """What the service has emitted, and what went through `emitter`; not what the test did."""
        return Emitted(self._history.emitted, self._settings.defaults.codecs)

    @property
    def outcomes(self) -> Outcomes:
        """The counts that a listener has as ``outcomes``."""
        return self._trial.outcomes

    @property
    def emitter(self) -> EventEmitter:
        """An emitter to give to code that emits beside the handlers, as a web application."""
        self._trial  # noqa: B018 - it raises outside of the context
        return self._emitter

    @property
    def backend(self) -> Backend:
        """The broker, for `EventEmitter`, `DeadLetters` and others that take a backend."""
        return self._trial.backend

    async def health(self) -> Health:
        """What `EventListener.health` says of the service."""
        return await self._trial.service.health()

    @property
    def _trial(self) -> Trial:
        if self._entered is None:
            raise NotRunning("use a probe inside 'async with listener.test() as probe:'")
        return self._entered

    def _given_up(self, kind: type[G]) -> Records[G]:
        found = [record for record in self._history.given_up if isinstance(record, kind)]
        return Records(found, self._trial.recorder.names)

    @property
    def _history(self) -> History:
        return self._trial.recorder.history

    def _refuse(
        self, kind: Kind, error: Fault | None, times: int | None, of: type[EventBase] | None
    ) -> None:
        self._trial.recorder.faults.plan_refusal(
            kind, error or BrokerUnreachable("refused, as the test asked"), times, of
        )

    async def _send(self, message: Message) -> None:
        await self._producer.send([message])
        self._check_read(message.topic)

    def _check_read(self, topic: str) -> None:
        if not self._trial.backend.is_read(topic):
            read = ", ".join(self._trial.topics)
            raise ConfigurationError(f"no handler reads topic {topic!r}; they read: {read}")


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text
