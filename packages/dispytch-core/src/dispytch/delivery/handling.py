"""From a delivery to its outcome: run the handlers, decide about failures."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from dispytch.circuit_breaker import Circuit
from dispytch.clock import Clock
from dispytch.dead_letters import Failure, FailurePolicy, Reason, Unhandled
from dispytch.delivery.admission import Admission
from dispytch.delivery.aftermath import Aftermath, place, reason_of
from dispytch.delivery.attempt import Attempt, Owed, Parting, let_go
from dispytch.delivery.outcomes import Outcomes
from dispytch.delivery.partings import Partings
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import (
    HandlerTimeout,
    InvalidHandler,
    MessageTooLarge,
    Postpone,
    RegistryUnavailable,
    SerializationError,
    Skip,
    Unsigned,
)
from dispytch.failing import failure_of
from dispytch.messages import Delivery, Message
from dispytch.printable import printable, quoted
from dispytch.redelivery import Redelivery, way_back
from dispytch.replies import too_large
from dispytch.routing import Answering, Route
from dispytch.serialization import Unresolved
from dispytch.short_names import short
from dispytch.unawaited import found as unawaited
from dispytch.unawaited import refuse_unawaited, report_unawaited

logger: logging.Logger = logging.getLogger("dispytch")

T = TypeVar("T")

_UNHANDLED_KINDS_LOGGED: Final = 1000


class Handling:
    """Runs an event's handlers, one after the other.

    `handle`, awaited, returns None when the delivery may be settled, or what is still owed to it;
    then it is called again with that, once some of it is due.

    It raises `EventHalted` for an event that must neither be settled nor passed over.

    retry_topic: through which events come back to the group alone.
    circuit: is told the outcome of every attempt.
    holding_group: the group, where it has holding topics: what comes back long before it is due
        waits there, and not here.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        retry_topic: str,
        unreadable: FailurePolicy,
        unhandled: Unhandled,
        aftermath: Aftermath,
        partings: Partings,
        outcomes: Outcomes,
        clock: Clock,
        circuit: Circuit | None = None,
        holding_group: str | None = None,
    ) -> None:
        self._admission = admission
        self._retry_topic = retry_topic
        self._if_unreadable: FailurePolicy = unreadable
        self._if_unhandled: Unhandled = unhandled
        self._aftermath = aftermath
        self._partings = partings
        self._outcomes = outcomes
        self._clock = clock
        self._now = clock.time
        self._circuit = circuit
        self._holding_group = holding_group
        self._unhandled: set[tuple[str, str | None]] = set()

    def handle(
        self, delivery: Delivery, owed: Sequence[Owed] | None
    ) -> Awaitable[Sequence[Owed] | None]:
        """Run what is due; see the class.

        Nothing here is a coroutine but what awaits a handler: each costs as much as a decision.
        """
        if owed is not None:
            return self._pay(delivery, owed)
        if delivery.topic == self._retry_topic:
            return self._pay(delivery, self._returned(delivery))
        try:
            admitted = self._admission.admit(delivery)
        except SerializationError as error:
            return self._pay(delivery, self._unreadable(delivery, error))
        if admitted is None:
            return self._pay(delivery, ())
        routes, envelope = admitted
        if len(routes) == 1:
            return self._run(routes[0], delivery, envelope)
        if not routes:
            return self._pay(delivery, self._pass_over(delivery, envelope))
        return self._run_each(routes, delivery, envelope)

    async def _run_each(
        self, routes: Sequence[Route], delivery: Delivery, envelope: Envelope
    ) -> Sequence[Owed] | None:
        owed: list[Owed] = []
        for route in routes:
            owed += await self._run(route, delivery, envelope) or ()
        return owed or None

    def _returned(self, delivery: Delivery) -> Sequence[Owed]:
        """What a delivery is owed that has come back to the group."""
        try:
            attempts, redelivery, envelope = self._admission.returned(delivery)
        except SerializationError as error:
            return self._unreadable(delivery, error)
        if not attempts:
            return self._pass_over(delivery, envelope, redelivery)
        return self._moved(delivery, redelivery, attempts[0]) or attempts

    def _moved(
        self, delivery: Delivery, redelivery: Redelivery, attempt: Attempt
    ) -> Sequence[Owed]:
        """What sends a delivery to where it waits for its attempt; nothing if that is here."""
        group, now = self._holding_group, self._now()
        topic = None if group is None else way_back(group, attempt.due - now)
        if group is None or topic is None or topic == self._retry_topic:
            return ()
        message = redelivery.message(delivery, group)
        message.topic = topic
        where = place(delivery, attempt.route.name, attempt.number)
        refused = partial(self._aftermath.not_delayed, attempt, delivery)
        return [Parting("moved", message, None, where, now, otherwise=refused)]

    async def _pay(self, delivery: Delivery, owed: Sequence[Owed]) -> Sequence[Owed] | None:
        envelope: Envelope | None = None
        now = self._now()
        still_owed: list[Owed] = []
        for one in owed:
            if one.due > now:
                still_owed.append(one)
            elif isinstance(one, Parting):
                still_owed += await self._send_on(one)
            else:
                try:
                    envelope = envelope or self._admission.again(delivery)
                except SerializationError as error:
                    still_owed += self._unreadable(delivery, error)
                    continue
                still_owed += await self._run(one.route, delivery, envelope, one) or ()
        return still_owed or None

    async def _run(
        self, route: Route, delivery: Delivery, envelope: Envelope, attempt: Attempt | None = None
    ) -> Sequence[Owed] | None:
        """Run one handler, for the first time if no attempt is given; what is owed after that."""
        began = self._now()
        number = 1 if attempt is None else attempt.number
        failure: Exception
        try:
            try:
                body = self._admission.body(route, envelope)
            except Unresolved as missing:
                body = await self._admission.looked_up(route, envelope, missing)
        except SerializationError as refusal:
            let_go(() if attempt is None else (attempt,))
            return await self._refused(route, number, delivery, refusal) or None
        except RegistryUnavailable as silence:
            attempt = attempt or first_of(route, began)
            let_go((attempt,))
            return [replace(attempt, due=self._now() + silence.seconds, until=None)]
        event = Event(body, envelope, delivery, number, route.name, route.pattern)
        if attempt is not None:
            event.claim = attempt.claim
        try:
            result = await (
                route.run(event)
                if route.timeout is None
                else self._run_within(route, route.run, event)
            )
            if unawaited:
                refuse_unawaited()
        except BaseException as error:
            if unawaited:
                report_unawaited(route.name)
            if event.claim is not None and not isinstance(error, Exception):
                event.claim.leave()
            failure = failure_of(error)
        else:
            if event.claim is not None:
                event.claim.leave()
            self._outcomes.handled += 1
            if self._circuit is not None:
                self._circuit.note(delivery, None)
            if route.answering is None:
                return None
            return await self._answered(route, route.answering, number, delivery, result) or None
        attempt = attempt or first_of(route, began)
        attempt.claim = event.claim
        return await self._failed(attempt, delivery, failure) or None

    async def _run_within(self, route: Route, run: Callable[[T], Awaitable[Any]], what: T) -> Any:
        assert route.timeout is not None
        limit: asyncio.Timeout | None = None
        try:
            async with self._clock.timeout(route.timeout) as limit:
                return await run(what)
        except TimeoutError as error:
            if limit is None or not limit.expired():
                raise
            raise HandlerTimeout(
                f"{route.name} ran longer than its timeout of {route.timeout} s"
            ) from error

    async def _refused(
        self, route: Route, number: int, delivery: Delivery, refusal: SerializationError
    ) -> Sequence[Owed]:
        """What is owed to an event whose body a handler cannot have."""
        failure = Failure(reason_of(refusal), refusal, route.name, number, route.topic_name)
        parting = self._aftermath.give_up(route.dead_letter, delivery, failure)
        owed = () if parting is None else await self._send_on(parting)
        return [*owed, *await self._tell(route, number, delivery, failure.reason, refusal)]

    async def _failed(
        self, attempt: Attempt, delivery: Delivery, error: Exception
    ) -> Sequence[Owed]:
        """What is owed to an event after an attempt has failed."""
        if self._circuit is not None:
            self._circuit.note(delivery, error)
        if not isinstance(error, Postpone):
            let_go((attempt,))
        if isinstance(error, Skip):
            self._outcomes.skipped += 1
            return await self._tell(attempt.route, attempt.number, delivery, "skipped", error)
        following = self._aftermath.after(attempt, delivery, error)
        if isinstance(following, Attempt):
            return [following]
        owed = () if following is None else await self._send_on(following)
        if following is not None and following.outcome == "delayed":
            return owed
        told = await self._tell(attempt.route, attempt.number, delivery, reason_of(error), error)
        return [*owed, *told]

    async def _answered(
        self, route: Route, answering: Answering, number: int, delivery: Delivery, result: object
    ) -> Sequence[Owed]:
        """What is owed after a handler that answers requests has returned."""
        answer = answering.to(delivery)
        if answer is None:
            return ()
        return await self._answer(route, number, delivery, answer.returned(result))

    async def _tell(
        self, route: Route, number: int, delivery: Delivery, reason: str, error: Exception
    ) -> Sequence[Owed]:
        """Answer a request that its handler will not answer any more."""
        answer = None if route.answering is None else route.answering.to(delivery)
        if answer is None:
            return ()
        return await self._answer(route, number, delivery, answer.failed(reason, error))

    async def _answer(
        self, route: Route, number: int, delivery: Delivery, message: Message | None
    ) -> Sequence[Owed]:
        if message is None:
            return ()
        where = place(delivery, route.name, number)
        refused = partial(self._unanswered, route, number, delivery)
        return await self._send_on(
            Parting("answered", message, None, where, self._now(), otherwise=refused)
        )

    def _unanswered(
        self, route: Route, number: int, delivery: Delivery, refused: Parting, error: Exception
    ) -> Parting | None:
        """What is owed in the place of a reply that the broker does not take."""
        smaller = too_large(refused.message)
        if isinstance(error, MessageTooLarge) and smaller is not None:
            return replace(refused, message=smaller)
        failure = Failure("unanswerable", error, route.name, number, route.topic_name)
        return self._aftermath.give_up(route.dead_letter, delivery, failure)

    async def _send_on(self, parting: Parting) -> Sequence[Owed]:
        left = await self._partings.send(parting)
        return [] if left is None else [left]

    def _unreadable(self, delivery: Delivery, error: SerializationError) -> Sequence[Owed]:
        named = self._admission.topic_name(delivery)
        reason: Reason = "unsigned" if isinstance(error, Unsigned) else "undecodable"
        failure = Failure(reason, error, topic=named)
        return self._given_up(self._if_unreadable, delivery, failure)

    def _given_up(
        self, policy: FailurePolicy, delivery: Delivery, failure: Failure
    ) -> Sequence[Owed]:
        parting = self._aftermath.give_up(policy, delivery, failure)
        return [parting] if parting is not None else ()

    def _pass_over(
        self,
        delivery: Delivery,
        envelope: Envelope,
        redelivery: Redelivery | None = None,
    ) -> Sequence[Owed]:
        self._outcomes.unhandled += 1
        kind = short((delivery.topic, envelope.type))
        if kind not in self._unhandled and len(self._unhandled) < _UNHANDLED_KINDS_LOGGED:
            self._unhandled.add(kind)
            logger.warning(
                "no handler takes events of type %s on topic %s", quoted(kind[1]), quoted(kind[0])
            )
        if redelivery is None:
            handler, named = None, self._admission.topic_name(delivery)
        else:
            handler = redelivery.handler
            named = self._admission.topic_name(delivery, redelivery)
        policy = self._if_unhandled if handler is None else self._if_unreadable
        if policy == "ignore":
            return ()
        error = InvalidHandler(
            f"no handler {printable(handler or 'here')} takes type {quoted(envelope.type)}"
        )
        failure = Failure("unhandled", error, handler, topic=named)
        return self._given_up(policy, delivery, failure)


def first_of(route: Route, began: float) -> Attempt:
    """The first attempt of a handler, which began then."""
    return Attempt(route, 1, 0, began, began, began)
