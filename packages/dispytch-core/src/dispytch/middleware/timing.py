"""How long handlers run, and how that ends."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dispytch.awaitables import awaited
from dispytch.batch import NextBatch, failures_among
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, Postpone, Reject, RetryAfter, Skip
from dispytch.failing import failure_of
from dispytch.middleware.chain import Next

logger: logging.Logger = logging.getLogger("dispytch")

Ending = Literal[
    "handled", "skipped", "rejected", "retry_after", "postponed", "failed", "cancelled"
]
"""How one run of a handler ended."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a handler for an event that has ended; of a batch, each event has a ``Run``.

    seconds: how long it took, with its dependencies and the middlewares within; of a batch, for
        all its events together.
    ending: ``"handled"`` when it returned; ``"skipped"``, ``"rejected"``, ``"retry_after"``,
        ``"postponed"`` when it raised the decision of that name; ``"cancelled"`` when its timeout
        passed or the listener stopped; ``"failed"`` when it raised anything else.
    error: what it raised; of a batch, what this event has failed of.
    batch: how many events it had.
    """

    event: Event[Any]
    seconds: float
    ending: Ending
    error: BaseException | None = None
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """A middleware that reports every run of a handler, with its duration: for metrics.

    report: called in the event loop after each run, so it should not block; what it returns is
        awaited if it is awaitable. What it raises is logged, and changes nothing for the event.
    clock: gives seconds, from any start on.

    Raises:
        ConfigurationError: the report cannot be called.
    """

    report: Callable[[Run], object]
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        if not callable(self.report):
            raise ConfigurationError(
                f"Timing takes a function that is called with each Run, not {self.report!r}"
            )

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Call the handler, and report how that went."""
        began = self.clock()
        try:
            result = await call_next(event)
        except BaseException as error:
            await self._tell(Run(event, self.clock() - began, _ending(error), error))
            raise
        await self._tell(Run(event, self.clock() - began, "handled"))
        return result

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Call the handler, and report how that went for each of the events."""
        began = self.clock()
        errors: Mapping[int, BaseException] = {}
        try:
            return await call_next(events)
        except Exception as error:
            errors = failures_among(len(events), error)
            raise
        except BaseException as error:
            errors = dict.fromkeys(range(len(events)), error)
            raise
        finally:
            seconds = self.clock() - began
            for index, event in enumerate(events):
                cause = errors.get(index)
                await self._tell(Run(event, seconds, _ending(cause), cause, len(events)))

    async def _tell(self, run: Run) -> None:
        try:
            await awaited(self.report(run))
        except BaseException as error:
            failure_of(error)
            logger.exception("the report of a Timing failed for handler %s", run.event.handler)


def _ending(error: BaseException | None) -> Ending:
    match error:
        case None:
            return "handled"
        case Skip():
            return "skipped"
        case Reject():
            return "rejected"
        case RetryAfter():
            return "retry_after"
        case Postpone():
            return "postponed"
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return "failed"
