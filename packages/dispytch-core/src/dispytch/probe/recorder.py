"""Seeing what becomes of events: as the outermost middleware, and as the engine's observer."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dispytch.batch import NextBatch, failures_among
from dispytch.dead_letters import HANDLER, REASON, Failure, FailurePolicy
from dispytch.delivery.attempt import Attempt
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, Skip
from dispytch.messages import Delivery, Lease, Message, present
from dispytch.middleware import Next
from dispytch.probe.emitted import Emission
from dispytch.probe.faults import Faults
from dispytch.probe.records import (
    DeadLettered,
    Dropped,
    Failed,
    GivenUp,
    Handled,
    Handler,
    Skipped,
    Unhandled,
)
from dispytch.serialization.wire import Reader

Place = tuple[Delivery, str | None]
"""A delivery, and the name of a handler that it is for."""


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A run of a handler that has not ended; it began at ``since``, by the event loop's time."""

    event: Event[Any]
    since: float


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What has become of events, each list in the order in which it did."""

    handled: list[Handled[Any]] = field(default_factory=list[Handled[Any]])
    skipped: list[Skipped[Any]] = field(default_factory=list[Skipped[Any]])
    failed: list[Failed[Any]] = field(default_factory=list[Failed[Any]])
    given_up: list[GivenUp] = field(default_factory=list[GivenUp])
    unhandled: list[Unhandled] = field(default_factory=list[Unhandled])
    emitted: list[Emission] = field(default_factory=list[Emission])


class Recorder:
    """Notes what becomes of events.

    read: reads the envelope of a delivery.
    time: the clock of what is to come. changed: is called whenever something has happened.

    open: what was received and is not settled, each with when it was received.
    running: the runs under way.
    waiting: the number of the attempt to come, and when it is due.
    """

    def __init__(
        self, read: Reader, time: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._read = read
        self._time = time
        self._changed = changed
        self._handlers: Mapping[str, Handler] = {}
        self._loop: Final = asyncio.get_running_loop()
        self._last: dict[Place, Event[Any]] = {}
        self._letters: dict[Place, dict[str, Any]] = {}
        self._seen: set[Delivery] = set()
        self.faults: Final = Faults()
        self.open: Final[dict[Delivery, float]] = {}
        self.running: Final[dict[Place, Running]] = {}
        self.waiting: Final[dict[Place, tuple[int, float]]] = {}
        self.history: Final = History()

    def know(self, handlers: Mapping[str, Handler]) -> None:
        """Know the handlers by their names."""
        self._handlers = handlers

    def names(self, handler: Handler) -> Collection[str]:
        """The names under which a handler is known.

        Raises:
            ConfigurationError: it is none of the listener's.
        """
        names = {name for name, known in self._handlers.items() if known == handler}
        if not names:
            there_are = ", ".join(sorted(self._handlers))
            raise ConfigurationError(f"{handler!r} is no handler here; there are: {there_are}")
        return names

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Run a handler; see `dispytch.Middleware`."""
        place = self._begin(event)
        try:
            fault = self.faults.of_run(event.handler)
            if fault is not None:
                raise fault
            result = await call_next(event)
        except Skip as reason:
            self._skipped(event, reason)
            raise
        else:
            self._handled(event, result)
            return result
        finally:
            del self.running[place]
            self._changed()

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> None:
        """Run a batch handler; see `dispytch.BatchMiddleware`."""
        places = [self._begin(event) for event in events]
        try:
            fault = self.faults.of_run(events[0].handler)
            if fault is not None:
                raise fault
            await call_next(events)
        except Exception as error:
            self._ended(events, failures_among(len(events), error))
            raise
        else:
            self._ended(events, {})
        finally:
            for place in places:
                del self.running[place]
            self._changed()

    def _ended(self, events: Sequence[Event[Any]], failures: Mapping[int, Exception]) -> None:
        for index, event in enumerate(events):
            error = failures.get(index)
            if error is None:
                self._handled(event, None)
            elif isinstance(error, Skip):
                self._skipped(event, error)

    def _begin(self, event: Event[Any]) -> Place:
        place = (event.delivery, event.handler)
        self._seen.add(event.delivery)
        self._last[place] = event
        self.waiting.pop(place, None)
        self.running[place] = Running(event, self._loop.time())
        return place

    def _handled(self, event: Event[Any], result: object) -> None:
        about = self._about((event.delivery, event.handler))
        self.history.handled.append(Handled(event=event, result=result, **about))

    def _skipped(self, event: Event[Any], reason: Skip) -> None:
        about = self._about((event.delivery, event.handler))
        self.history.skipped.append(Skipped(event=event, reason=reason, **about))

    def failed(
        self, delivery: Delivery, attempt: Attempt, error: Exception, wait: float | None
    ) -> None:
        """See `Observer.failed`."""
        place = (delivery, attempt.route.name)
        if wait is not None:
            self.waiting[place] = (attempt.number + 1, self._time() + wait)
        about = self._about(place)
        event = self._last[place]
        self.history.failed.append(Failed(event=event, error=error, wait=wait, **about))

    def given_up(self, delivery: Delivery, failure: Failure, policy: FailurePolicy) -> None:
        """See `Observer.given_up`."""
        place = (delivery, failure.handler)
        self._seen.add(delivery)
        about: dict[str, Any] = self._about(place) | {
            "reason": failure.reason,
            "error": failure.error,
            "attempts": failure.attempts,
            "event": self._last.get(place),
        }
        if policy == "drop":
            self.history.given_up.append(Dropped(**about))
        elif policy != "halt":
            self._letters[place] = about

    def received(self, deliveries: Sequence[Delivery]) -> None:
        """Note what the consumer hands out."""
        self.open.update(dict.fromkeys(deliveries, self._loop.time()))
        self._changed()

    def settled(self, delivery: Delivery) -> None:
        """Note what is acknowledged."""
        self.open.pop(delivery, None)
        if delivery not in self._seen:
            self.history.unhandled.append(Unhandled(**self._about((delivery, None))))
        for place in [place for place in self.waiting if place[0] is delivery]:
            del self.waiting[place]
        self._changed()

    def sent(self, messages: Sequence[Message], delay: float | None, *, by_test: bool) -> None:
        """Note what the broker has taken."""
        for message in messages:
            if message.repeats is not None:
                self._sent_on(message, message.repeats)
            elif not by_test:
                self.history.emitted.append(self._emission(message, delay))
        self._changed()

    def type_of(self, message: Message) -> str | None:
        """The type of the event that a message carries, if it can be read."""
        envelope = self._readable(self._as_delivered(message))
        return None if envelope is None else envelope.type

    def owes_letter(self, delivery: Delivery) -> bool:
        """Whether its dead letter has still to be sent."""
        return any(place[0] is delivery for place in self._letters)

    def label(self, delivery: Delivery) -> str:
        """An event, for a text."""
        about = self._about((delivery, None))
        key = "" if delivery.key is None else f", key {delivery.key.decode(errors='replace')!r}"
        return f"{about['event_type']} {about['event_id']!r} on {delivery.topic!r}{key}"

    def forget_open(self) -> None:
        """Nothing is received any more."""
        for open_ones in (self.open, self.running, self.waiting, self._letters):
            open_ones.clear()

    def _sent_on(self, message: Message, delivery: Delivery) -> None:
        headers = present(message.headers)
        if REASON not in headers:
            return
        name = headers[HANDLER].decode() if HANDLER in headers else None
        about = self._letters.pop((delivery, name), None)
        if about is not None:
            self.history.given_up.append(DeadLettered(letter=message, **about))

    def _about(self, place: Place) -> dict[str, Any]:
        delivery, name = place
        envelope = self._readable(delivery)
        return {
            "handler": self._handlers.get(name or ""),
            "name": name,
            "delivery": delivery,
            "event_type": None if envelope is None else envelope.type,
            "event_id": None if envelope is None else envelope.id,
        }

    def _emission(self, message: Message, delay: float | None) -> Emission:
        envelope = self._readable(self._as_delivered(message))
        # What cannot be read is the reader's to find out: a broker takes it.
        return Emission(message, envelope or _without_envelope(message), delay)

    def _readable(self, delivery: Delivery) -> Envelope | None:
        """The envelope of a delivery; None if the wire format cannot read it, in whatever way."""
        try:
            return self._read(delivery)
        except Exception:
            return None

    def _as_delivered(self, message: Message) -> Delivery:
        lease = Lease(message.topic, message.topic)
        place = len(self.history.emitted)
        return Delivery(message.topic, message.value, message.key, message.headers, lease, place)


def _without_envelope(message: Message) -> Envelope:
    return Envelope("", None, None, None, None, message.value)
