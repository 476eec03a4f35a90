"""Leaving events out that a handler should not see."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, Skip
from dispytch.middleware.chain import Next

Predicate = Callable[[Event[Any]], "bool | Awaitable[bool]"]
"""Says of an event whether it is wanted; async or not."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A middleware that lets a handler run for the events which a predicate wants.

    For any other event it raises `Skip`: it is settled and counted as skipped, and what is within
    this middleware does not run. What the predicate raises counts as the handler's failure.

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
        wanted = self.predicate(event)
        if isawaitable(wanted):
            wanted = await wanted
        if not wanted:
            raise Skip(f"event {event.id!r} is filtered out")
        return await call_next(event)
