"""What follows when an event could not be handled: another attempt, a parting, or the end."""

import logging
import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from dispytch.clock import Clock
from dispytch.dead_letters import Failure, FailurePolicy, Reason
from dispytch.delivery.attempt import Attempt, Owed, Parting
from dispytch.delivery.letters import Letters
from dispytch.delivery.observer import Observer
from dispytch.delivery.outcomes import Outcomes
from dispytch.exceptions import (
    DecodeError,
    EventHalted,
    NotAwaited,
    ParameterInvalid,
    Postpone,
    Reject,
    RetryAfter,
    SerializationError,
)
from dispytch.gates import Rank, Waiting
from dispytch.messages import Delivery
from dispytch.printable import described, printable, quoted
from dispytch.redelivery import DUE, Redelivery, way_back
from dispytch.routing import Route
from dispytch.tracebacks import exc_info

logger: logging.Logger = logging.getLogger("dispytch")

_SKEW_MS: Final = 60_000
"""What the clocks of two members may differ by."""

_EARLY: Final = 10.0
"""Seconds before its turn that an event is back which waits for it at the broker, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """What the broker can do for a failed event, see `Features`."""

    delay: bool = False
    rereads: bool = False
    hold_limit: float | None = None
    holds: bool = False
    """Whether events wait in the group's holding topics, as the broker keeps nothing back."""


class Aftermath:
    """Decides what follows a failure; sends nothing itself."""

    def __init__(
        self,
        *,
        group: str,
        broker: Broker,
        outcomes: Outcomes,
        clock: Clock,
        observer: Observer | None = None,
    ) -> None:
        self._group = group
        self._broker = broker
        self._outcomes = outcomes
        self._clock = clock.time
        self._wall = clock.wall
        self._observer = observer
        self._letters = Letters(group=group, rereads=broker.rereads, clock=clock)
        self.last_error: str | None = None

    def after(
        self, failed: Attempt, delivery: Delivery, error: Exception, *, logged: bool = False
    ) -> Owed | None:
        """What is owed to an event whose attempt has failed; None when nothing is.

        logged: the error's traceback is in the log already.

        Raises:
            EventHalted: it must neither be settled nor passed over.
        """
        if isinstance(error, Postpone):
            return self._postponed(failed, delivery, error)
        failed.claim = None
        if not isinstance(error, RetryAfter):
            failed.failures += 1
        self._note(failed.route.name, error)
        delay = self._delay(failed, error)
        if self._observer is not None:
            self._observer.failed(delivery, failed, error, delay)
        if delay is None:
            failure = Failure(
                reason_of(error), error, failed.route.name, failed.number, failed.route.topic_name
            )
            return self.give_up(failed.route.dead_letter, delivery, failure, logged=logged)
        if self._goes_through_the_broker(failed, delay):
            return self._delayed(failed, delivery, delay, None if logged else error)
        return self._in_place(failed, delivery, delay, None if logged else error)

    def give_up(
        self,
        policy: FailurePolicy,
        delivery: Delivery,
        failure: Failure,
        *,
        logged: bool = False,
    ) -> Parting | None:
        """Apply a failure policy; ``logged``: the error's traceback is in the log already.

        Raises:
            EventHalted: the policy is ``"halt"``.
        """
        error, where = failure.error, place(delivery, failure.handler, failure.attempts)
        self._note(where, error)
        if self._observer is not None:
            self._observer.given_up(delivery, failure, policy)
        if policy == "halt":
            raise EventHalted(
                f"{where}: {described(error)}; the event is left unsettled "
                "and the listener stops, as dead_letter='halt' asks"
            ) from error
        shown = None if logged else error
        if policy == "drop":
            logger.error("dropped, as dead_letter='drop' asks: %s", where, exc_info=exc_info(shown))
            self._outcomes.dropped += 1
            return None
        logger.error("given up: %s", where, exc_info=exc_info(shown))
        destination = None if failure.topic is None else policy.of(failure.topic, self._group)
        told = replace(failure, details=policy.details)
        return self._letters.parting(delivery, told, destination, where)

    def _note(self, where: str, error: Exception) -> None:
        self.last_error = f"{where}: {described(error)}"

    def _delay(self, failed: Attempt, error: Exception) -> float | None:
        retry, elapsed = failed.route.retry, self._clock() - failed.began
        match error:
            case RetryAfter():
                allowed = retry.allows(elapsed + error.seconds)
                return error.seconds if allowed and error.seconds <= retry.longest_wait else None
            case Reject() | ParameterInvalid() | NotAwaited():
                return None
            case _:
                return retry.next_delay(attempt=failed.failures, error=error, elapsed=elapsed)

    def _goes_through_the_broker(self, failed: Attempt, delay: float) -> bool:
        return failed.route.retry.delayed or self._beyond_hold_limit(failed, delay)

    def _beyond_hold_limit(self, attempt: Attempt, delay: float) -> bool:
        limit = self._broker.hold_limit
        return limit is not None and self._clock() - attempt.arrived + delay > limit

    def _postponed(self, attempt: Attempt, delivery: Delivery, decision: Postpone) -> Owed:
        """The same attempt, later; the time in between counts for nothing."""
        self._outcomes.postponed += 1
        seconds, claim = decision.seconds, attempt.claim
        attempt.postpone(seconds, self._clock(), decision.until)
        beyond = self._beyond_hold_limit(attempt, seconds)
        if claim is not None and (beyond or claim.freed is not decision.until):
            # It waits for something else, or elsewhere; when it is back, it has its rank.
            claim.leave()
        if beyond:
            if decision.until is not None:
                seconds = self._back_before(seconds)
            return self._through_the_broker(attempt, delivery, seconds, number=attempt.number)
        return attempt

    def _back_before(self, seconds: float) -> float:
        """For how long an event waits at the broker so that it is back before its turn."""
        early = min(_EARLY, (self._broker.hold_limit or 0) / 10)
        return seconds - early if seconds > 2 * early else seconds

    def _in_place(
        self, failed: Attempt, delivery: Delivery, delay: float, shown: Exception | None
    ) -> Attempt:
        where = place(delivery, failed.route.name, failed.number)
        logger.warning(
            "failed, the next attempt follows in %.2f s: %s", delay, where, exc_info=exc_info(shown)
        )
        self._outcomes.retried += 1
        return Attempt(
            failed.route,
            failed.number + 1,
            failed.failures,
            failed.began,
            failed.arrived,
            self._clock() + delay,
        )

    def _delayed(
        self, failed: Attempt, delivery: Delivery, delay: float, shown: Exception | None
    ) -> Parting:
        where = place(delivery, failed.route.name, failed.number)
        logger.warning(
            "failed, the next attempt comes through the broker in %.2f s: %s",
            delay,
            where,
            exc_info=exc_info(shown),
        )
        return self._through_the_broker(failed, delivery, delay, number=failed.number + 1)

    def _through_the_broker(
        self, last: Attempt, delivery: Delivery, delay: float, *, number: int
    ) -> Parting:
        """Attempt ``number``, which comes back from the broker; ``last`` is what was tried here."""
        # What was postponed for longer comes back, and is postponed again.
        now, delay = self._wall(), min(delay, last.route.retry.longest_wait)
        redelivery = Redelivery(
            topic=delivery.topic,
            handler=last.route.name,
            handler_topic=last.route.topic_name,
            attempt=number,
            failures=last.failures,
            first_attempt=round((now - (self._clock() - last.began)) * 1000),
            due=math.ceil((now + delay) * 1000),
            waiting_since=None if last.claim is None else last.claim.rank.since,
            waiting_number=None if last.claim is None else last.claim.rank.number,
        )
        message = redelivery.message(delivery, self._group)
        if self._broker.holds:
            message.topic = way_back(self._group, delay)
        native = delay if self._broker.delay else None
        where = place(delivery, last.route.name, last.number)
        refused = partial(self.not_delayed, last, delivery)
        return Parting("delayed", message, native, where, self._clock(), otherwise=refused)

    def not_delayed(
        self, last: Attempt, delivery: Delivery, refused: Parting, error: Exception
    ) -> Parting | None:
        """What is owed to an event that the broker does not take for a later attempt."""
        route = last.route
        failure = Failure("unsendable", error, route.name, last.number, route.topic_name)
        return self.give_up(route.dead_letter, delivery, failure)


def place(delivery: Delivery, handler: str | None, attempts: int) -> str:
    """An event, for the log: where it stands, and whose attempt it was."""
    stream = printable(delivery.lease.stream)
    where = f"event at {stream}/{delivery.position} of topic {quoted(delivery.topic)}"
    return (
        where if handler is None else f"handler {printable(handler)}, attempt {attempts}, {where}"
    )


def first_attempt(route: Route, redelivery: Redelivery, clock: Clock) -> Attempt:
    """The attempt that a delivery begins with that has come back to the group."""
    now, wall = clock.time(), clock.wall() * 1000
    first, due, rank = redelivery.first_attempt, redelivery.due, _rank(redelivery, wall)
    if due is not None and due - wall > route.retry.longest_wait * 1000 + _SKEW_MS:
        raise DecodeError(
            f"the header {DUE!r} asks for an attempt in {(due - wall) / 1000:.0f} s, and no wait "
            f"of {route.name} is longer than {route.retry.longest_wait:g} s"
        )
    return Attempt(
        route,
        redelivery.attempt,
        redelivery.failures,
        began=now if first is None else now - max(0.0, wall - first) / 1000,
        arrived=now,
        due=now if due is None else now + max(0.0, due - wall) / 1000,
        claim=None if rank is None else Waiting(clock, rank),
    )


def _rank(redelivery: Redelivery, wall: float) -> Rank | None:
    """Its place among those that wait at a limit, if it has waited at one before."""
    since, number = redelivery.waiting_since, redelivery.waiting_number
    return None if since is None else Rank(min(since, round(wall)), number or 0)


def reason_of(error: Exception) -> Reason:
    """Why an event is given up that ended with this error."""
    match error:
        case Reject():
            return "rejected"
        case DecodeError():
            return "undecodable"
        case SerializationError():
            return "invalid"
        case _:
            return "failed"
