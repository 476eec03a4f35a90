"""When to stop starting events because all of them fail: a state machine, no tasks and no I/O."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from dispytch.exceptions import ConfigurationError, HandlerDecision, ParameterInvalid
from dispytch.printable import described

logger: logging.Logger = logging.getLogger("dispytch")


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """Makes a listener pause while everything fails, as when a database is down.

    After ``failures`` failed attempts in a row, of any handlers, the listener starts no more
    events and no more attempts; what is running finishes. ``pause`` seconds later it tries one
    event at a time: the first one that succeeds ends the pause, one that fails begins another.

    An attempt has failed when the handler, a dependency or a middleware raised, or ran out of
    time, and has succeeded when the handler returned. `Reject`, `Skip`, `RetryAfter` and bodies
    that cannot be read say something of one event only: they count as neither.

    failures: failed attempts in a row that begin the pause.
    pause: seconds without any attempt.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    failures: int = 10
    pause: float = 30.0

    def __post_init__(self) -> None:
        if type(self.failures) is not int or self.failures < 1:
            raise ConfigurationError(
                f"CircuitBreaker: failures must be at least 1, not {self.failures!r}"
            )
        if type(self.pause) not in (int, float) or not 0 < self.pause < inf:
            raise ConfigurationError(
                f"CircuitBreaker: pause must be positive seconds, not {self.pause!r}"
            )


class Circuit:
    """The state of a circuit breaker: closed while events flow, open during a pause.

    Whoever starts an event asks `allows` first, then calls `start` and, whatever happens to the
    event, `finish`. In between, `note` takes the outcome of each of its attempts. An event is any
    object, compared by identity. While the circuit is open only the probe's outcome counts, and
    there is at most one probe.

    clock: gives seconds, from any start on.
    on_change: is called when the circuit opens, again too, and when it closes.
    """

    def __init__(self, breaker: CircuitBreaker, clock: Callable[[], float]) -> None:
        self._breaker = breaker
        self._clock = clock
        self._failed = 0
        self._probe: object | None = None
        self._last_error: str | None = None
        self._resumes: float | None = None
        self._opened = 0.0
        self.on_change: Callable[[], None] | None = None

    @property
    def problem(self) -> str | None:
        """A sentence for an open circuit; None for a closed one."""
        if self._resumes is None:
            return None
        left = max(0.0, self._resumes - self._clock())
        then = "events are tried one at a time" if left == 0 else f"tried again in {left:.0f} s"
        return f"the circuit breaker is open, {then}: {self._reason()}"

    @property
    def next_probe(self) -> float | None:
        """From when on a probe may start; None while one runs, and in a closed circuit."""
        return self._resumes if self._probe is None else None

    def allows(self) -> bool:
        """Whether an event may start now."""
        if self._resumes is None:
            return True
        return self._probe is None and self._clock() >= self._resumes

    def start(self, event: object) -> None:
        """Mark the start of an event; in an open circuit it is the probe."""
        if self._resumes is not None:
            self._probe = event

    def finish(self, event: object) -> None:
        """Mark the end of an event, successful or not, or cancelled."""
        if self._probe is event:
            self._probe = None

    def note(self, event: object, error: Exception | None) -> None:
        """Take in what an attempt ended of; None when the handler returned."""
        if self._resumes is not None and self._probe is not event:
            return
        if error is None:
            self._close()
        elif not isinstance(error, HandlerDecision | ParameterInvalid):
            self._failed += 1
            # The text alone: an error holds on to everything that its handler had in hand.
            self._last_error = described(error)
            if self._resumes is not None or self._failed >= self._breaker.failures:
                self._open()

    def _close(self) -> None:
        self._failed = 0
        if self._resumes is not None:
            self._resumes = self._probe = self._last_error = None
            logger.warning(
                "an event has succeeded: the circuit breaker is closed after %.1f s, events start "
                "again",
                self._clock() - self._opened,
            )
            self._changed()

    def _open(self) -> None:
        self._probe = None
        if self._resumes is None:
            self._opened = self._clock()
        self._resumes = self._clock() + self._breaker.pause
        logger.error(
            "the circuit breaker is open: no event starts for %g s, after %s",
            self._breaker.pause,
            self._reason(),
        )
        self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _reason(self) -> str:
        return f"{self._failed} failures in a row, the last one {self._last_error}"
