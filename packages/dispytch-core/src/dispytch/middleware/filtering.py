"""Leaving events out that a handler should not see."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from dispytch.awaitables import awaited
from dispytch.batch import NextBatch, failures_among
from dispytch.events import Event
from dispytch.exceptions import BatchFailed, ConfigurationError, Skip
from dispytch.middleware.chain import Next
from dispytch.printable import quoted

Predicate = Callable[[Event[Any]], "bool | Awaitable[bool]"]
"""Says of an event whether it is wanted; async or not."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A middleware that lets a handler run for the events which a predicate wants.

    For any other event it raises `Skip`: it is settled and counted as skipped, and what is within
    this middleware does not run. What the predicate raises counts as the handler's failure. A batch
    handler gets those of a batch that are wanted, if there are any.

    predicate: called with the event, its body validated; async or not. One that is not async runs
        in the event loop, so it should not block.

    Raises:
        ConfigurationError: the predicate cannot be called.
    """

    predicate: Predicate

    def __post_init__(self) -> None:
        if not callable(self.predicate):
            raise ConfigurationError(
                f"Filter takes a function of the event, as in "
                f"Filter(lambda event: event.key is not None), not {self.predicate!r}"
            )

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Call the handler, if the event is wanted."""
        refusal = await self._refusal(event)
        if refusal is not None:
            raise refusal
        return await call_next(event)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Call the handler with those of the events that are wanted."""
        failures: dict[int, Exception] = {}
        for index, event in enumerate(events):
            try:
                refusal = await self._refusal(event)
            except Exception as error:
                refusal = error
            if refusal is not None:
                failures[index] = refusal
        if not failures:
            return await call_next(events)
        wanted = [event for index, event in enumerate(events) if index not in failures]
        try:
            await call_next(wanted)
        except Exception as error:
            failures |= failures_among(len(events), error)
        raise BatchFailed(failures)

    async def _refusal(self, event: Event[Any]) -> Exception | None:
        wanted = await awaited(self.predicate(event))
        return None if wanted else Skip(f"event {quoted(event.id)} is filtered out")
