"""From the deliveries of a batch to the outcome of each."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dispytch.batch import failures_among
from dispytch.dead_letters import Failure
from dispytch.delivery.aftermath import reason_of
from dispytch.delivery.attempt import Attempt, Owed, Parting
from dispytch.delivery.batch_lanes import Taken
from dispytch.delivery.handling import Handling, escaped_from, first_of
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import (
    DecodeError,
    HandlerDecision,
    RegistryUnavailable,
    RetryAfter,
    SerializationError,
    Skip,
)
from dispytch.messages import Delivery
from dispytch.routing import Batching, Route
from dispytch.serialization import Unresolved

Settle = Callable[[Delivery], None]


@dataclass(eq=False, slots=True)
class _Member:
    """An event that goes to its handler, and the attempt that this is."""

    event: Event[Any]
    attempt: Attempt


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
        table = self._router.table(delivery)
        return None if table is None else table.batching

    async def handle_batch(self, taken: Taken, settle: Settle) -> Taken:
        """Run the handler once, with all that can be run by now.

        Calls ``settle`` for each delivery that is done, and returns those that are not, with what
        they are owed, to be called with them once some of it is due. None is owed to those that
        were not looked at, as they stand behind one that cannot be read yet.

        Raises:
            EventHalted: an event that must neither be settled nor passed over. What the handler
                has done by then is settled.
        """
        members, owing = await self._sorted(taken)
        if members:
            probe = next(iter(taken))
            owing |= await self._run_members(members, settle, probe)
        left = await self._pay_all(owing, settle)
        return {delivery: left[delivery] for delivery in taken if delivery in left}

    async def _sorted(
        self, taken: Taken
    ) -> tuple[Sequence[_Member], dict[Delivery, Sequence[Owed] | None]]:
        """The events for the handler; and the other deliveries, with what they are owed."""
        members: list[_Member] = []
        owing: dict[Delivery, Sequence[Owed] | None] = {}
        rest = iter(taken.items())
        for delivery, owed in rest:
            found = await self._prepared(delivery, owed)
            if isinstance(found, _Member):
                members.append(found)
                continue
            owing[delivery] = found
            if found is not owed and any(isinstance(one, Attempt) for one in found):
                # It cannot be read yet, and those behind it may be of its key.
                owing.update(rest)
        return members, owing

    async def _prepared(
        self, delivery: Delivery, owed: Sequence[Owed] | None
    ) -> _Member | Sequence[Owed]:
        """An event for the handler; or what is owed to a delivery that it does not get now."""
        if owed is None:
            return await self._prepared_first(delivery)
        [one] = owed
        if isinstance(one, Parting) or one.due > self._now():
            return owed
        return await self._member(one, delivery, self._read(delivery))

    async def _prepared_first(self, delivery: Delivery) -> _Member | Sequence[Owed]:
        table = self._router.table(delivery)
        if table is None:
            return ()
        try:
            envelope = self._read(delivery)
        except DecodeError as error:
            return self._unreadable(delivery, error, table.topic_name)
        routes = table.find(envelope.type)
        if not routes:
            return self._pass_over(delivery, envelope, None, table.topic_name)
        return await self._member(self._first(routes[0]), delivery, envelope)

    def _first(self, route: Route) -> Attempt:
        """The first attempt; its event has been here for as long as the batch was filling."""
        attempt = first_of(route, self._now())
        if route.batching is not None:
            attempt.arrived -= route.batching.batch.wait
        return attempt

    async def _member(
        self, attempt: Attempt, delivery: Delivery, envelope: Envelope
    ) -> _Member | Sequence[Owed]:
        route = attempt.route
        try:
            try:
                body = route.decode(envelope)
            except Unresolved as missing:
                body = await self._lookups.read(lambda: route.decode(envelope), missing)
        except SerializationError as refusal:
            failure = Failure(
                reason_of(refusal), refusal, route.name, attempt.number, route.topic_name
            )
            return self._given_up(route.dead_letter, delivery, failure)
        except RegistryUnavailable as silence:
            return [replace(attempt, due=self._now() + silence.seconds)]
        event = Event(body, envelope, delivery, attempt.number, route.name, route.pattern)
        return _Member(event, attempt)

    async def _run_members(
        self, members: Sequence[_Member], settle: Settle, probe: Delivery
    ) -> Mapping[Delivery, Sequence[Owed]]:
        """Run the handler, settle what it has done, and find out what the others are owed."""
        route = members[0].attempt.route
        failures = await self._failures(route, [member.event for member in members])
        if self._circuit is not None:
            self._circuit.note(probe, _verdict(failures, len(members)))
        for index, member in enumerate(members):
            if index not in failures:
                self._outcomes.handled += 1
                settle(member.event.delivery)
        logged: set[int] = set()
        owing: dict[Delivery, Sequence[Owed]] = {}
        for index, error in failures.items():
            owing[members[index].event.delivery] = self._follow(members[index], error, logged)
        _align(
            owing[members[index].event.delivery]
            for index, error in failures.items()
            if not isinstance(error, RetryAfter)
        )
        return owing

    async def _failures(self, route: Route, events: list[Event[Any]]) -> Mapping[int, Exception]:
        """Run the handler; what the events have failed of, by index."""
        assert route.batching is not None
        run, count = route.batching.run, len(events)
        try:
            await (run(events) if route.timeout is None else self._run_within(route, run, events))
        except Exception as error:
            return failures_among(count, error)
        except asyncio.CancelledError as error:
            return failures_among(count, escaped_from(error))
        return {}

    def _follow(self, member: _Member, error: Exception, logged: set[int]) -> Sequence[Owed]:
        """What is owed to an event after it has failed; ``logged``: errors that were told of."""
        if isinstance(error, Skip):
            self._outcomes.skipped += 1
            return ()
        delivery = member.event.delivery
        following = self._aftermath.after(
            member.attempt, delivery, error, logged=id(error) in logged
        )
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


def _verdict(failures: Mapping[int, Exception], count: int) -> Exception | None:
    """What a run says of the world around it: one event that was handled says that it is well."""
    if len(failures) < count:
        return None
    errors = tuple(failures.values())
    return next((one for one in errors if not isinstance(one, HandlerDecision)), errors[0])


def _align(owings: Iterable[Sequence[Owed]]) -> None:
    """Have events that failed together be run together again, once the last of them is due."""
    attempts = [one for owed in owings for one in owed if isinstance(one, Attempt)]
    latest = max((one.due for one in attempts), default=0.0)
    for one in attempts:
        one.due = latest
