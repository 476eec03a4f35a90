"""From a delivery to its outcome: decode, route, run the handlers, decide about failures."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Final

from dispytch.circuit_breaker import Circuit
from dispytch.clock import Clock
from dispytch.dead_letters import Failure, FailurePolicy, Unhandled
from dispytch.delivery.aftermath import Aftermath, first_attempt, reason_of
from dispytch.delivery.attempt import Attempt, Owed, Parting
from dispytch.delivery.lookups import Lookups
from dispytch.delivery.outcomes import Outcomes
from dispytch.delivery.partings import Partings
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import (
    DecodeError,
    DispytchError,
    HandlerTimeout,
    InvalidHandler,
    RegistryUnavailable,
    SerializationError,
    Skip,
)
from dispytch.messages import Delivery
from dispytch.redelivery import Redelivery
from dispytch.routing import Route, Router
from dispytch.serialization import Unresolved
from dispytch.serialization.wire import Reader

logger = logging.getLogger("dispytch")

_UNHANDLED_KINDS_LOGGED: Final = 1000


class Handling:
    """Runs an event's handlers, one after the other.

    Called with a delivery, it returns None when the delivery may be settled, or what is still owed
    to it; then it is called again with that, once some of it is due.

    It raises `EventHalted` for an event that must neither be settled nor passed over.

    retry_topic: through which events come back to the group alone.
    circuit: is told the outcome of every attempt.
    """

    def __init__(
        self,
        *,
        read: Reader,
        router: Router,
        retry_topic: str,
        unreadable: FailurePolicy,
        unhandled: Unhandled,
        aftermath: Aftermath,
        partings: Partings,
        lookups: Lookups,
        outcomes: Outcomes,
        clock: Clock,
        circuit: Circuit | None = None,
    ) -> None:
        self._read = read
        self._router = router
        self._retry_topic = retry_topic
        self._if_unreadable: FailurePolicy = unreadable
        self._if_unhandled: Unhandled = unhandled
        self._aftermath = aftermath
        self._partings = partings
        self._lookups = lookups
        self._outcomes = outcomes
        self._clock = clock
        self._now = clock.time
        self._circuit = circuit
        self._unhandled: set[tuple[str, str | None]] = set()

    async def __call__(
        self, delivery: Delivery, owed: Sequence[Owed] | None
    ) -> Sequence[Owed] | None:
        """Run what is due; see the class."""
        if owed is not None:
            return await self._pay(delivery, owed)
        if delivery.lease.topic == self._retry_topic:
            return await self._pay(delivery, self._returned(delivery))
        try:
            envelope = self._read(delivery)
        except DecodeError as error:
            return await self._pay(delivery, self._unreadable(delivery, error))
        routes = self._router.find(delivery.topic, envelope.type)
        if not routes:
            return await self._pay(delivery, self._pass_over(delivery, envelope, None))
        now = self._now()
        owed = []
        for route in routes:
            failure = await self._run(route, 1, delivery, envelope)
            if failure is not None:
                attempt = Attempt(route, 1, 0, now, now, now)
                owed += await self._after(attempt, delivery, failure)
        return owed or None

    def _returned(self, delivery: Delivery) -> Sequence[Owed]:
        """What a delivery is owed that has come back to the group."""
        try:
            redelivery = Redelivery.of(delivery)
            delivery.topic = redelivery.topic
            envelope = self._read(delivery)
        except DecodeError as error:
            return self._unreadable(delivery, error)
        routes: Sequence[Route] = self._router.find(delivery.topic, envelope.type)
        if redelivery.handler is not None:
            routes = [route for route in routes if route.name == redelivery.handler]
        if not routes:
            return self._pass_over(delivery, envelope, redelivery)
        return [first_attempt(route, redelivery, self._clock) for route in routes]

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
                envelope = envelope or self._read(delivery)
                error = await self._run(one.route, one.number, delivery, envelope)
                if error is not None:
                    still_owed += await self._after(one, delivery, error)
        return still_owed or None

    async def _run(
        self, route: Route, number: int, delivery: Delivery, envelope: Envelope
    ) -> Exception | None:
        """Run one handler; what it failed of, if it did."""
        try:
            body = route.decode(envelope)
        except SerializationError as refusal:
            return _Refused(refusal)
        except Unresolved as missing:
            try:
                body = await self._lookups.read(lambda: route.decode(envelope), missing)
            except SerializationError as refusal:
                return _Refused(refusal)
            except RegistryUnavailable as silence:
                return _Unread(silence.seconds)
        error = await _run_caught(
            route, Event(body, envelope, delivery, number, route.name), self._clock
        )
        if self._circuit is not None:
            self._circuit.note(delivery, error)
        if error is None:
            self._outcomes.handled += 1
        elif isinstance(error, Skip):
            self._outcomes.skipped += 1
            return None
        return error

    async def _after(
        self, attempt: Attempt, delivery: Delivery, error: Exception
    ) -> Sequence[Owed]:
        """What is owed to the event after an attempt has failed."""
        following: Owed | None
        if isinstance(error, _Refused):
            route, refusal = attempt.route, error.refusal
            failure = Failure(reason_of(refusal), refusal, route.name, attempt.number)
            following = self._aftermath.give_up(route.dead_letter, delivery, failure)
        elif isinstance(error, _Unread):
            following = replace(attempt, due=self._now() + error.seconds)
        else:
            following = self._aftermath.after(attempt, delivery, error)
        if isinstance(following, Parting):
            return await self._send_on(following)
        return () if following is None else (following,)

    async def _send_on(self, parting: Parting) -> Sequence[Owed]:
        left = await self._partings.send(parting)
        return () if left is None else (left,)

    def _unreadable(self, delivery: Delivery, error: DecodeError) -> Sequence[Owed]:
        return self._given_up(self._if_unreadable, delivery, Failure("undecodable", error))

    def _given_up(
        self, policy: FailurePolicy, delivery: Delivery, failure: Failure
    ) -> Sequence[Owed]:
        parting = self._aftermath.give_up(policy, delivery, failure)
        return [parting] if parting is not None else ()

    def _pass_over(
        self, delivery: Delivery, envelope: Envelope, redelivery: Redelivery | None
    ) -> Sequence[Owed]:
        self._outcomes.unhandled += 1
        kind = (delivery.topic, envelope.type)
        if kind not in self._unhandled and len(self._unhandled) < _UNHANDLED_KINDS_LOGGED:
            self._unhandled.add(kind)
            logger.warning("no handler takes events of type %r on topic %r", kind[1], kind[0])
        handler = None if redelivery is None else redelivery.handler
        policy = self._if_unhandled if handler is None else self._if_unreadable
        if policy == "ignore":
            return ()
        error = InvalidHandler(f"no handler {handler or 'here'} takes type {envelope.type!r}")
        return self._given_up(policy, delivery, Failure("unhandled", error, handler))


class _Refused(Exception):
    """A body that could not be had, told apart from whatever a handler raises."""

    def __init__(self, refusal: SerializationError) -> None:
        self.refusal = refusal
        super().__init__(refusal)


class _Unread(Exception):
    """A body that cannot be had yet; the attempt comes again, and has not counted as one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(seconds)


async def _run_caught(route: Route, event: Event[Any], clock: Clock) -> Exception | None:
    try:
        if route.timeout is None:
            await route.run(event)
        else:
            await _run_within(clock.timeout(route.timeout), route, event)
    except Exception as error:
        return error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled this worker: the handler let a cancellation of its own escape.
        return DispytchError("a cancellation escaped from the handler").with_traceback(
            error.__traceback__
        )
    return None


async def _run_within(
    allowed: AbstractAsyncContextManager[asyncio.Timeout], route: Route, event: Event[Any]
) -> None:
    limit: asyncio.Timeout | None = None
    try:
        async with allowed as limit:
            await route.run(event)
    except TimeoutError as error:
        if limit is None or not limit.expired():
            raise
        raise HandlerTimeout(
            f"{route.name} ran longer than its timeout of {route.timeout} s"
        ) from error
