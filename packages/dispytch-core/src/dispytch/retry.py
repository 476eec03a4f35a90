"""When to run a failed handler again: pure arithmetic, no clock and no I/O."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, cast

from dispytch.exceptions import (
    BrokerUnreachable,
    ConfigurationError,
    RegistryUnavailable,
    SendError,
    SendTimeout,
)

ErrorTypes = type[Exception] | tuple[type[Exception], ...]

_A_MINUTE: Final = 60.0
_TRANSIENT: Final = (SendTimeout, BrokerUnreachable, RegistryUnavailable)

LONGEST_WAIT: Final = 7 * 86_400.0
"""Seconds that an attempt may be put off by, unless a policy's own limits allow more."""

_random: Final = random.Random()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, how soon and for which errors a handler is run again.

    attempts: runs in all, the first one included.
    delay: seconds before the second attempt.
    factor: what each further delay is multiplied with; 1 keeps it fixed.
    max_delay: no delay is longer than this, in seconds; when not given, a minute, or ``delay`` if
        that is longer.
    jitter: draw each delay evenly between zero and its full length, so that events that failed
        together do not come back together.
    retry_on: the errors that are worth another attempt. Those of a broker or registry that pass by
        themselves are so in any case, see `passes_by_itself`.
    give_up_on: errors among all of these that are not.
    delayed: let the broker keep an event until its next attempt, instead of waiting in place. In
        place, the events of its key wait behind it, and keep their order; through the broker they
        don't, and the attempts are counted over a restart.
    time_limit: no attempt starts later than so many seconds after the first one did.

    Raises:
        ConfigurationError: a value that makes no sense, or two that contradict each other; the
            text names them.
    """

    attempts: int = 1
    delay: float = 1.25
    factor: float = 2.0
    max_delay: float | None = None
    jitter: bool = True
    retry_on: ErrorTypes = Exception
    give_up_on: ErrorTypes = ()
    time_limit: float | None = None
    delayed: bool = False

    def __post_init__(self) -> None:
        given = (self.delay, self.factor, self.max_delay, self.time_limit)
        numbers = tuple(one for one in given if one is not None)
        switches = (self.jitter, self.delayed)
        _require(all(type(one) is bool for one in switches), "switches are True or False", switches)
        _require(type(self.attempts) is int, "attempts must be a whole number", self.attempts)
        _require(all(type(one) in (int, float) for one in numbers), "times are numbers", numbers)
        _require(self.attempts >= 1, "attempts must be at least 1", self.attempts)
        _require(0 <= self.delay < inf, "delay must not be negative or infinite", self.delay)
        _require(1 <= self.factor < inf, "factor must be at least 1 and finite", self.factor)
        _require(
            self.max_delay is None or self.max_delay >= 0,
            "max_delay must not be negative",
            self.max_delay,
        )
        _require(
            self.time_limit is None or self.time_limit >= 0,
            "time_limit must not be negative",
            self.time_limit,
        )
        _require(_are_errors(self.retry_on), "retry_on takes exception classes", self.retry_on)
        _require(
            _are_errors(self.give_up_on), "give_up_on takes exception classes", self.give_up_on
        )

        self._check_together()

    def _check_together(self) -> None:
        _require(
            self.delay <= self.longest_delay,
            f"max_delay must be at least delay={self.delay:g}, or the delay would never count",
            self.max_delay,
        )
        _require(
            self.jitter or self.attempts == 1 or self.allows(self.delay),
            f"time_limit must be at least delay={self.delay:g}, or nothing would be retried",
            self.time_limit,
        )
        wanted = self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,)
        _require(
            not wanted or not all(issubclass(one, self.give_up_on) for one in wanted),
            f"give_up_on must leave something of retry_on={self.retry_on!r}",
            self.give_up_on,
        )

    @property
    def longest_delay(self) -> float:
        """No delay is longer than this."""
        return max(_A_MINUTE, self.delay) if self.max_delay is None else self.max_delay

    def next_delay(
        self,
        *,
        attempt: int,
        error: Exception,
        elapsed: float,
        draw: Callable[[], float] = _random.random,
    ) -> float | None:
        """Seconds to wait after ``attempt`` (from 1) had failed, or None: no further attempt.

        ``elapsed`` is the time since the first attempt started; ``draw`` gives numbers in [0, 1).
        """
        if attempt >= self.attempts or not self._worth(error):
            return None
        delay = self._full_delay(attempt) * (draw() if self.jitter else 1.0)
        return delay if self.allows(elapsed + delay) else None

    @property
    def longest_wait(self) -> float:
        """No attempt is further away than so many seconds; `RetryAfter` may ask for no more."""
        longest = LONGEST_WAIT if self.time_limit is None else self.time_limit
        return max(longest, self.max_delay or 0.0, self.delay)

    def allows(self, elapsed: float) -> bool:
        """Whether an attempt may start so many seconds after the first one did."""
        return self.time_limit is None or elapsed <= self.time_limit

    def _worth(self, error: Exception) -> bool:
        if isinstance(error, self.give_up_on):
            return False
        return isinstance(error, self.retry_on) or passes_by_itself(error, self.give_up_on)

    def _full_delay(self, attempt: int) -> float:
        try:
            return min(self.longest_delay, self.delay * float(self.factor) ** (attempt - 1))
        except OverflowError:
            return self.longest_delay if self.delay else 0.0


def passes_by_itself(error: BaseException, but: ErrorTypes = ()) -> bool:
    """Whether an error tells of a broker, or a registry, that is away or slow for now.

    `SendTimeout`, `BrokerUnreachable`, `RegistryUnavailable`; a `SendError`, or a group of
    exceptions, that holds nothing else; and what was raised ``from`` one of these. ``but``: those
    that do not count.
    """
    known: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in known:
        known.add(id(cause))
        if isinstance(cause, but):
            return False
        if isinstance(cause, _TRANSIENT):
            return True
        within = _within(cause)
        if within and all(passes_by_itself(one, but) for one in within):
            return True
        cause = cause.__cause__
    return False


def _within(error: BaseException) -> Sequence[BaseException]:
    if isinstance(error, SendError):
        return tuple(error.failures.values())
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).exceptions
    return ()


def _require(met: bool, text: str, value: object) -> None:
    if not met:
        raise ConfigurationError(f"RetryPolicy: {text}, not {value!r}")


def _are_errors(given: object) -> bool:
    classes = cast("tuple[object, ...]", given) if isinstance(given, tuple) else (given,)
    return all(isinstance(one, type) and issubclass(one, Exception) for one in classes)
