"""When to run a failed handler again: pure arithmetic, no clock and no I/O."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, cast

from dispytch.exceptions import ConfigurationError

ErrorTypes = type[Exception] | tuple[type[Exception], ...]

_random: Final = random.Random()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, how soon and for which errors a handler is run again.

    attempts: runs in all, the first one included.
    delay: seconds before the second attempt.
    factor: what each further delay is multiplied with; 1 keeps it fixed.
    max_delay: no delay is longer than this, in seconds.
    jitter: draw each delay evenly between zero and its full length, so that events that failed
        together do not come back together.
    retry_on: the errors that are worth another attempt.
    give_up_on: errors among these that are not.
    delayed: let the broker keep an event until its next attempt, instead of waiting in place. In
        place, the events of its key wait behind it, and keep their order; through the broker they
        don't, and the attempts are counted over a restart.
    time_limit: no attempt starts later than so many seconds after the first one did.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    attempts: int = 1
    delay: float = 1.25
    factor: float = 2.0
    max_delay: float = 60.0
    jitter: bool = True
    retry_on: ErrorTypes = Exception
    give_up_on: ErrorTypes = ()
    time_limit: float | None = None
    delayed: bool = False

    def __post_init__(self) -> None:
        numbers = (self.delay, self.factor, self.max_delay, self.time_limit or 0.0)
        _require(type(self.attempts) is int, "attempts must be a whole number", self.attempts)
        _require(all(type(one) in (int, float) for one in numbers), "times are numbers", numbers)
        _require(self.attempts >= 1, "attempts must be at least 1", self.attempts)
        _require(0 <= self.delay < inf, "delay must not be negative or infinite", self.delay)
        _require(1 <= self.factor < inf, "factor must be at least 1 and finite", self.factor)
        _require(self.max_delay >= 0, "max_delay must not be negative", self.max_delay)
        _require(
            self.time_limit is None or self.time_limit >= 0,
            "time_limit must not be negative",
            self.time_limit,
        )
        _require(_are_errors(self.retry_on), "retry_on takes exception classes", self.retry_on)
        _require(
            _are_errors(self.give_up_on), "give_up_on takes exception classes", self.give_up_on
        )

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

    def allows(self, elapsed: float) -> bool:
        """Whether an attempt may start so many seconds after the first one did."""
        return self.time_limit is None or elapsed <= self.time_limit

    def _worth(self, error: Exception) -> bool:
        return isinstance(error, self.retry_on) and not isinstance(error, self.give_up_on)

    def _full_delay(self, attempt: int) -> float:
        try:
            return min(self.max_delay, self.delay * float(self.factor) ** (attempt - 1))
        except OverflowError:
            return self.max_delay if self.delay else 0.0


def _require(met: bool, text: str, value: object) -> None:
    if not met:
        raise ConfigurationError(f"RetryPolicy: {text}, not {value!r}")


def _are_errors(given: object) -> bool:
    classes = cast("tuple[object, ...]", given) if isinstance(given, tuple) else (given,)
    return all(isinstance(one, type) and issubclass(one, Exception) for one in classes)
