"""From a delivery to its outcome: decode, route, run the handlers, decide about failures."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from dispytch.dead_letters import Failure, FailurePolicy, Unhandled
from dispytch.delivery.aftermath import Aftermath, first_attempt, reason_of
from dispytch.delivery.attempt import Attempt, Owed, Parting
from dispytch.delivery.outcomes import Outcomes
from dispytch.delivery.partings import Partings
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import (
    DecodeError,
    DispytchError,
    HandlerTimeout,
    InvalidHandler,
    SerializationError,
    Skip,
)
from dispytch.messages import Delivery
from dispytch.redelivery import Redelivery
from dispytch.routing import Route, Router
from dispytch.serialization.wire import Reader

logger = logging.getLogger("dispytch")

_UNHANDLED_KINDS_LOGGED: Final = 1000


class Handling:
    """Runs an event's handlers, one after the other.

    Called with a delivery, it returns None when the delivery may be settled, or what is still owed
    to it; then it is called again with that, once some of it is due.

    It raises `EventHalted` for an event that must neither be settled nor passed over.

    retry_topic: through which events come back to the group alone.
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
        outcomes: Outcomes,
        clock: Callable[[], float],
    ) -> None:
        self._read = read
        self._router = router
        self._retry_topic = retry_topic
        self._unreadable: FailurePolicy = unreadable
        self._if_unhandled: Unhandled = unhandled
        self._aftermath = aftermath
        self._partings = partings
        self._outcomes = outcomes
        self._clock = clock
        self._unhandled: set[tuple[str, str | None]] = set()

    async def __call__(
        self, delivery: Delivery, owed: Sequence[Owed] | None
    ) -> Sequence[Owed] | None:
        """Run what is due; see the class."""
        if owed is None:
            try:
                owed = self._first(delivery)
            except DecodeError as error:
                failure = Failure("undecodable", error)
                owed = self._given_up(self._unreadable, delivery, failure)
        return await self._pay(delivery, owed) if owed else None

    def _first(self, delivery: Delivery) -> Sequence[Owed]:
        """What a delivery that has just come is owed.

        Raises:
            DecodeError: it cannot be read.
        """
        redelivery: Redelivery | None = None
        if delivery.lease.topic == self._retry_topic:
            redelivery = Redelivery.of(delivery)
            delivery.topic = redelivery.topic
        envelope = self._read(delivery)
        routes: Iterable[Route] = self._router.find(delivery.topic, envelope.type)
        if redelivery is not None and redelivery.handler is not None:
            routes = [route for route in routes if route.name == redelivery.handler]
        if not routes:
            return self._pass_over(delivery, envelope, redelivery)
        now = self._clock()
        return [first_attempt(route, redelivery, now) for route in routes]

    async def _pay(self, delivery: Delivery, owed: Sequence[Owed]) -> Sequence[Owed] | None:
        envelope: Envelope | None = None
        now = self._clock()
        still_owed: list[Owed] = []
        for one in owed:
            following: Owed | None = one
            if one.due <= now:
                if isinstance(one, Attempt):
                    envelope = envelope or self._read(delivery)
                    following = await self._run(one, delivery, envelope)
                if isinstance(following, Parting) and following.due <= self._clock():
                    following = await self._partings.send(following)
            if following is not None:
                still_owed.append(following)
        return still_owed or None

    async def _run(self, attempt: Attempt, delivery: Delivery, envelope: Envelope) -> Owed | None:
        """Run one handler; what is owed to the event after that."""
        route = attempt.route
        try:
            body = route.decode(envelope)
        except SerializationError as refusal:
            failure = Failure(reason_of(refusal), refusal, route.name, attempt.number)
            return self._aftermath.give_up(route.dead_letter, delivery, failure)
        error = await _run_caught(route, Event(body, envelope, delivery, attempt.number))
        if error is None:
            self._outcomes.handled += 1
            return None
        if isinstance(error, Skip):
            self._outcomes.skipped += 1
            return None
        return self._aftermath.after(attempt, delivery, error)

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
        policy = self._if_unhandled if handler is None else self._unreadable
        if policy == "ignore":
            return ()
        error = InvalidHandler(f"no handler {handler or 'here'} takes type {envelope.type!r}")
        return self._given_up(policy, delivery, Failure("unhandled", error, handler))


async def _run_caught(route: Route, event: Event[Any]) -> Exception | None:
    try:
        if route.timeout is None:
            await route.run(event)
        else:
            await _run_within(route.timeout, route, event)
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


async def _run_within(seconds: float, route: Route, event: Event[Any]) -> None:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await route.run(event)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise HandlerTimeout(f"{route.name} ran longer than its timeout of {seconds} s") from error
