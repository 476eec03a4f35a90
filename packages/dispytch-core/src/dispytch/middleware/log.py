"""A line in the log for every run of a handler."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dispytch.batch import NextBatch
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError
from dispytch.middleware.chain import Next
from dispytch.middleware.timing import Run, Timing
from dispytch.printable import described, printable

_TROUBLE = ("failed", "cancelled", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A middleware that logs every run of a handler: how it ended, and how long it took.

    Each record has, as ``extra``, the attributes ``handler``, ``ending``, ``duration`` in seconds,
    ``event_id``, ``event_type``, ``topic``, ``key``, ``stream``, ``position``, ``attempt``, and
    ``error_type`` if it raised; after a run of a batch, each of its events has a record, with the
    number of events as ``batch``. Bodies and headers are not logged. Tracebacks are left to the
    listener, which logs them with what it decided.

    level: of runs that returned, were skipped or asked for another run.
    failure_level: of runs that failed, were rejected or cancelled.
    slow: runs that took longer than so many seconds have the failure level too; None for never.
    logger: where to; ``dispytch.handlers`` if not given.
    clock: gives seconds, from any start on.

    Postponed runs, which have not reached the handler, are logged at ``DEBUG``.

    Raises:
        ConfigurationError: a level that is none, a time that is not positive.
    """

    level: int = logging.INFO
    failure_level: int = logging.WARNING
    slow: float | None = None
    logger: logging.Logger = field(default=logging.getLogger("dispytch.handlers"))
    clock: Callable[[], float] = time.perf_counter
    _timing: Timing = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, level in (("level", self.level), ("failure_level", self.failure_level)):
            if type(level) is not int:
                raise ConfigurationError(
                    f"Log: {name} takes a level as in logging.INFO, not {level!r}"
                )
        if self.slow is not None and (type(self.slow) not in (int, float) or not self.slow > 0):
            raise ConfigurationError(f"Log: slow must be positive seconds, not {self.slow!r}")
        if not isinstance(self.logger, logging.Logger):
            raise ConfigurationError(f"Log: logger takes a logging.Logger, not {self.logger!r}")
        object.__setattr__(self, "_timing", Timing(self._write, self.clock))

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Call the handler, and log how that went."""
        return await self._timing(event, call_next)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Call the handler, and log how that went for each of the events."""
        return await self._timing.around_batch(events, call_next)

    def _write(self, run: Run) -> None:
        level = self._level(run)
        if not self.logger.isEnabledFor(level):
            return
        self.logger.log(
            level,
            "%s %s event %s%s in %.1f ms%s",
            run.event.handler,
            _WORDS.get(run.ending, run.ending),
            printable(run.event.id),
            "" if run.batch == 1 else f" in a batch of {run.batch}",
            run.seconds * 1000,
            "" if run.error is None else f": {described(run.error)}",
            extra=_fields(run),
        )

    def _level(self, run: Run) -> int:
        if run.ending == "postponed":
            return logging.DEBUG
        slow = self.slow is not None and run.seconds > self.slow
        return self.failure_level if slow or run.ending in _TROUBLE else self.level


_WORDS = {
    "retry_after": "asked to run again for",
    "failed": "failed on",
    "cancelled": "was cancelled on",
}


def _fields(run: Run) -> dict[str, object]:
    event = run.event
    fields: dict[str, object] = {
        "handler": event.handler,
        "ending": run.ending,
        "duration": run.seconds,
        "event_id": printable(event.id),
        "event_type": None if event.type is None else printable(event.type),
        "topic": printable(event.topic),
        "key": None if event.key is None else printable(event.key),
        "stream": printable(event.stream),
        "position": event.position,
        "attempt": event.attempt,
    }
    if run.batch != 1:
        fields["batch"] = run.batch
    if run.error is not None:
        fields["error_type"] = type(run.error).__name__
    return fields
