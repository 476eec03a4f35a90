"""From a delivery to its outcome: decode, route, run the handlers, decide about failures."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from dispytch.delivery.attempt import Attempt
from dispytch.delivery.outcomes import Outcomes
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import (
    DecodeError,
    DispytchError,
    EventHalted,
    HandlerTimeout,
    SerializationError,
)
from dispytch.failure import FailurePolicy
from dispytch.messages import Delivery
from dispytch.routing import Route, Router
from dispytch.serialization.wire import Reader

logger = logging.getLogger("dispytch")

_UNHANDLED_KINDS_LOGGED: Final = 1000


class Handling:
    """Runs an event's handlers, one after the other.

    Called with a delivery, it returns None when the delivery may be settled, or the attempts that
    it is still owed; then it is called again with those that it returned, once they are due.

    It raises `EventHalted` for an event that must neither be settled nor passed over.
    """

    def __init__(
        self,
        *,
        read: Reader,
        router: Router,
        unreadable: FailurePolicy,
        outcomes: Outcomes,
        clock: Callable[[], float],
    ) -> None:
        self._read = read
        self._router = router
        self._unreadable: FailurePolicy = unreadable
        self._outcomes = outcomes
        self._clock = clock
        self._unhandled: set[tuple[str, str | None]] = set()

    async def __call__(
        self, delivery: Delivery, owed: Sequence[Attempt] | None
    ) -> Sequence[Attempt] | None:
        """Run what is due; see the class."""
        try:
            envelope = self._read(delivery)
        except DecodeError as error:
            self._give_up(self._unreadable, _place(delivery), error)
            return None
        if owed is not None:
            return await self._run_again(delivery, envelope, owed)
        routes = self._router.find(delivery.topic, envelope.type)
        if not routes:
            self._pass_over(delivery, envelope)
            return None
        return await self._run_first(delivery, envelope, routes)

    async def _run_first(
        self, delivery: Delivery, envelope: Envelope, routes: Sequence[Route]
    ) -> Sequence[Attempt] | None:
        owed: list[Attempt] = []
        now = self._clock()
        for route in routes:
            owed += await self._run(Attempt(route, 1, now, now), delivery, envelope)
        return owed or None

    async def _run_again(
        self, delivery: Delivery, envelope: Envelope, owed: Sequence[Attempt]
    ) -> Sequence[Attempt] | None:
        now = self._clock()
        still_owed = [attempt for attempt in owed if attempt.due > now]
        for attempt in owed:
            if attempt.due <= now:
                still_owed += await self._run(attempt, delivery, envelope)
        return still_owed or None

    async def _run(
        self, attempt: Attempt, delivery: Delivery, envelope: Envelope
    ) -> Sequence[Attempt]:
        """Run one handler; the further attempt that it is owed, if it is."""
        route = attempt.route
        try:
            body = route.decode(envelope)
        except SerializationError as refusal:
            self._give_up(route.dead_letter, _place(delivery, route), refusal)
            return ()
        error = await _run_caught(route, Event(body, envelope, delivery, attempt.number))
        if error is not None:
            return self._after_failure(attempt, delivery, error)
        self._outcomes.handled += 1
        return ()

    def _after_failure(
        self, failed: Attempt, delivery: Delivery, error: Exception
    ) -> Sequence[Attempt]:
        route, now = failed.route, self._clock()
        delay = route.retry.next_delay(
            attempt=failed.number, error=error, elapsed=now - failed.began
        )
        place = _place(delivery, route)
        if delay is None:
            self._give_up(route.dead_letter, f"{place}, attempt {failed.number}", error)
            return ()
        what = f"attempt {failed.number} failed, the next one follows in {delay:.2f} s: {place}"
        logger.warning(what, exc_info=error)
        self._outcomes.retried += 1
        return (Attempt(route, failed.number + 1, failed.began, now + delay),)

    def _give_up(self, policy: FailurePolicy, place: str, error: Exception) -> None:
        if policy == "halt":
            raise EventHalted(
                f"{place}: {type(error).__name__}: {error}; the event is left unsettled "
                "and the listener stops, as dead_letter='halt' asks"
            ) from error
        logger.error("dropped, as dead_letter='drop' asks: %s", place, exc_info=error)
        self._outcomes.dropped += 1

    def _pass_over(self, delivery: Delivery, envelope: Envelope) -> None:
        self._outcomes.unhandled += 1
        kind = (delivery.topic, envelope.type)
        if kind not in self._unhandled and len(self._unhandled) < _UNHANDLED_KINDS_LOGGED:
            self._unhandled.add(kind)
            logger.warning("no handler takes events of type %r on topic %r", kind[1], kind[0])


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


def _place(delivery: Delivery, route: Route | None = None) -> str:
    place = f"event at {delivery.lease.stream}/{delivery.position} of topic {delivery.topic!r}"
    return f"handler {route.name}, {place}" if route is not None else place
