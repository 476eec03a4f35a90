"""From the deliveries of a batch to the outcome of each."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dispytch.batch import failures_among
from dispytch.dead_letters import Failure
from dispytch.delivery.aftermath import reason_of
from dispytch.delivery.attempt import Attempt, Owed, Parting, let_go
from dispytch.delivery.batch_lanes import Taken
from dispytch.delivery.handling import Handling, first_of
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import (
    HandlerDecision,
    Postpone,
    RegistryUnavailable,
    RetryAfter,
    SerializationError,
    Skip,
)
from dispytch.failing import failure_of
from dispytch.messages import Delivery
from dispytch.routing import Batching, Route
from dispytch.serialization import Unresolved
from dispytch.unawaited import found as unawaited
from dispytch.unawaited import refuse_unawaited, report_unawaited

Settle = Callable[[Delivery], None]


Prepared = Event[Any] | Sequence[Owed]
"""An event for the handler; or what is owed to a delivery that it does not get now."""


@dataclass(eq=False, slots=True)
class _Run:
    """The events that go to their handler, and the attempts of those for which it is not the first.

    ``began`` is when; ``attempts`` are by index.
    """

    began: float
    events: list[Event[Any]] = field(default_factory=list[Event[Any]])
    attempts: dict[int, Attempt] = field(default_factory=dict[int, Attempt])

    def add(self, event: Event[Any], owed: Sequence[Owed] | None) -> None:
        """One more event, for the attempt that it is owed, or for its first."""
        for one in owed or ():
            if isinstance(one, Attempt):
                self.attempts[len(self.events)] = one
        self.events.append(event)


class BatchHandling(Handling):
    """Runs deliveries one by one, as `Handling` does, or those of a batch in one run.

    Each delivery of a batch has an outcome of its own. What cannot be read, or is of a type that
    nobody takes, goes its own way, and the handler does not see it. What comes back to the group
    through its own topic, for a later attempt or replayed, is a batch of one.
    """

    def batching_of(self, delivery: Delivery) -> Batching | None:
        """Of the handler that takes this delivery in batches; None: it is handled by itself."""
        if delivery.topic == self._retry_topic:
            return None
        return self._admission.batching_of(delivery)

    async def handle_batch(self, taken: Taken, settle: Settle) -> Taken:
        """Run the handler once, with all that can be run by now.

        Calls ``settle`` for each delivery that is done, and returns those that are not, with what
        they are owed, to be called with them once some of it is due. None is owed to those that
        were not looked at, as they stand behind one that cannot be read yet.

        Raises:
            EventHalted: an event that must neither be settled nor passed over. What the handler
                has done by then is settled.
        """
        run = _Run(self._now())
        owing = await self._sort(taken, run)
        if run.events:
            owing |= await self._run_all(run, settle, next(iter(taken)))
        if not owing:
            return owing
        left = await self._pay_all(owing, settle)
        return {delivery: left[delivery] for delivery in taken if delivery in left}

    async def _sort(self, taken: Taken, run: _Run) -> dict[Delivery, Sequence[Owed] | None]:
        """Put what goes to the handler into the run; returns the others, with what they are owed.

        Nothing is awaited but a schema that is missing: a coroutine for each event is felt.
        """
        owing: dict[Delivery, Sequence[Owed] | None] = {}
        rest = iter(taken.items())
        for delivery, owed in rest:
            found = self._prepared(delivery, owed, run.began)
            if not isinstance(found, Event) and isinstance(found, Awaitable):
                found = await found
                if not isinstance(found, Event) and any(isinstance(o, Attempt) for o in found):
                    # It cannot be read yet, and those behind it may be of its key.
                    owing[delivery] = found
                    owing.update(rest)
                    break
            if isinstance(found, Event):
                run.add(found, owed)
            else:
                owing[delivery] = found
        return owing

    def _prepared(
        self, delivery: Delivery, owed: Sequence[Owed] | None, now: float
    ) -> Prepared | Awaitable[Prepared]:
        try:
            if owed is not None:
                [one] = owed
                if isinstance(one, Parting) or one.due > now:
                    return owed
                return self._event(one.route, one, delivery, self._admission.again(delivery))
            admitted = self._admission.admit(delivery)
        except SerializationError as error:
            return self._unreadable(delivery, error)
        if admitted is None:
            return ()
        routes, envelope = admitted
        if not routes:
            return self._pass_over(delivery, envelope)
        return self._event(routes[0], None, delivery, envelope)

    def _event(
        self, route: Route, attempt: Attempt | None, delivery: Delivery, envelope: Envelope
    ) -> Prepared | Awaitable[Prepared]:
        try:
            body = self._admission.body(route, envelope)
        except Unresolved as missing:
            return self._looked_up(route, attempt, delivery, envelope, missing)
        except SerializationError as refusal:
            return self._refusal(route, attempt, delivery, refusal)
        return _event(route, attempt, delivery, envelope, body)

    async def _looked_up(
        self,
        route: Route,
        attempt: Attempt | None,
        delivery: Delivery,
        envelope: Envelope,
        missing: Unresolved,
    ) -> Prepared:
        """As `_event`, once somebody was asked; another attempt when nobody answers."""
        try:
            body = await self._admission.looked_up(route, envelope, missing)
        except SerializationError as refusal:
            return self._refusal(route, attempt, delivery, refusal)
        except RegistryUnavailable as silence:
            now = self._now()
            attempt = attempt or _first(route, now)
            let_go((attempt,))
            return [replace(attempt, due=now + silence.seconds, until=None)]
        return _event(route, attempt, delivery, envelope, body)

    def _refusal(
        self,
        route: Route,
        attempt: Attempt | None,
        delivery: Delivery,
        refusal: SerializationError,
    ) -> Sequence[Owed]:
        number = 1
        if attempt is not None:
            number = attempt.number
            let_go((attempt,))
        failure = Failure(reason_of(refusal), refusal, route.name, number, route.topic_name)
        return self._given_up(route.dead_letter, delivery, failure)

    async def _run_all(
        self, run: _Run, settle: Settle, probe: Delivery
    ) -> Mapping[Delivery, Sequence[Owed]]:
        """Run the handler, settle what it has done, and find out what the others are owed."""
        events, route = run.events, self._route_of(run)
        failures = await self._failures(route, events)
        if self._circuit is not None:
            self._circuit.note(probe, _verdict(failures, len(events)))
        for index, event in enumerate(events):
            if index not in failures:
                settle(event.delivery)
        self._outcomes.handled += len(events) - len(failures)
        logged: set[int] = set()
        owing: dict[Delivery, Sequence[Owed]] = {}
        together: defaultdict[float | None, list[Owed]] = defaultdict(list)
        for index, error in failures.items():
            attempt = run.attempts.get(index) or _first(route, run.began)
            attempt.claim = events[index].claim
            delivery = events[index].delivery
            owing[delivery] = owed = self._follow(attempt, delivery, error, logged)
            told = error.seconds if isinstance(error, RetryAfter | Postpone) else None
            together[told] += owed
        for owed in together.values():
            _align(owed)
        _let_go(events, owing)
        return owing

    def _route_of(self, run: _Run) -> Route:
        """The one that all its events have: a batch handler has its topics for itself."""
        for attempt in run.attempts.values():
            return attempt.route
        first = run.events[0]
        return self._admission.route_of(first.topic, first.type)

    async def _failures(self, route: Route, events: list[Event[Any]]) -> Mapping[int, Exception]:
        """Run the handler; what the events have failed of, by index."""
        assert route.batching is not None
        run, count = route.batching.run, len(events)
        try:
            await (run(events) if route.timeout is None else self._run_within(route, run, events))
            if unawaited:
                refuse_unawaited()
        except BaseException as error:
            if unawaited:
                report_unawaited(route.name)
            if not isinstance(error, Exception):
                _let_go(events, {})
            return failures_among(count, failure_of(error))
        return {}

    def _follow(
        self, attempt: Attempt, delivery: Delivery, error: Exception, logged: set[int]
    ) -> Sequence[Owed]:
        """What is owed to an event after it has failed; ``logged``: errors that were told of."""
        if isinstance(error, Skip):
            self._outcomes.skipped += 1
            return ()
        following = self._aftermath.after(attempt, delivery, error, logged=id(error) in logged)
        logged.add(id(error))
        return () if following is None else [following]

    async def _pay_all(
        self, owing: Mapping[Delivery, Sequence[Owed] | None], settle: Settle
    ) -> Taken:
        """Send on what is due, settle what is owed nothing more, and return the rest."""
        now = self._now()
        left = dict(owing)
        due: dict[Parting, Delivery] = {}
        for delivery, owed in owing.items():
            if owed is None:
                continue
            if not owed:
                del left[delivery]
                settle(delivery)
            elif isinstance(owed[0], Parting) and owed[0].due <= now:
                due[owed[0]] = delivery
        if due:
            unsent = set(await self._partings.send_all(tuple(due)))
            for parting, delivery in due.items():
                if parting not in unsent:
                    del left[delivery]
                    settle(delivery)
        return left


def _event(
    route: Route, attempt: Attempt | None, delivery: Delivery, envelope: Envelope, body: object
) -> Event[Any]:
    number = 1 if attempt is None else attempt.number
    event = Event(body, envelope, delivery, number, route.name, route.pattern)
    if attempt is not None:
        event.claim = attempt.claim
    return event


def _let_go(events: Sequence[Event[Any]], owing: Mapping[Delivery, Sequence[Owed]]) -> None:
    """What limits keep for events that are not owed another run by it is for others."""
    kept = {one.claim for owed in owing.values() for one in owed}
    for event in events:
        if event.claim is not None and event.claim not in kept:
            event.claim.leave()


def _first(route: Route, now: float) -> Attempt:
    """The first attempt; its event has been here for as long as the batch was filling."""
    attempt = first_of(route, now)
    if route.batching is not None:
        attempt.arrived -= route.batching.batch.wait
    return attempt


def _verdict(failures: Mapping[int, Exception], count: int) -> Exception | None:
    """What a run says of the world around it: one event that was handled says that it is well."""
    if len(failures) < count:
        return None
    errors = tuple(failures.values())
    return next((one for one in errors if not isinstance(one, HandlerDecision)), errors[0])


def _align(owed: Sequence[Owed]) -> None:
    """Have events that failed together be run together again, once the last of them is due."""
    attempts = [one for one in owed if isinstance(one, Attempt)]
    latest = max((one.due for one in attempts), default=0.0)
    for one in attempts:
        one.due = latest
