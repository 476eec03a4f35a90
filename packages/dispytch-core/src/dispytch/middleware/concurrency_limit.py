"""Limiting how many runs of handlers there are at once."""

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, Postpone
from dispytch.middleware.chain import Next
from dispytch.middleware.claims import claimant
from dispytch.middleware.places import PATIENCE, Places


@dataclass(frozen=True, slots=True, eq=False)
class ConcurrencyLimit:
    """A middleware that lets no more than ``limit`` runs of handlers go on at once.

    A run that finds no place is postponed until one is free, see `Postpone`: it fails nothing,
    takes no worker, and holds up only the events of its own key. Places are given in the order in
    which they were asked for; one that is kept for an event which does not come back, as its
    partition was revoked, goes to the next one after 5 seconds.

    All that run under one ``ConcurrencyLimit`` share it: to limit handlers each on its own, give
    each its own, or ``key=lambda event: event.handler``. Each process has a limit of its own.

    limit: how many, for each key on its own if there is a ``key``.
    key: a function of the event that says whose limit it counts for: a tenant, an account. None
        counts for no limit.
    clock: gives seconds, from any start on.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    limit: int
    key: Callable[[Event[Any]], Hashable] | None = None
    clock: Callable[[], float] = time.monotonic
    _places: dict[Hashable, Places] = field(
        init=False, repr=False, default_factory=dict[Hashable, Places]
    )

    def __post_init__(self) -> None:
        if type(self.limit) is not int or self.limit < 1:
            raise ConfigurationError(
                f"ConcurrencyLimit: limit must be at least 1, not {self.limit!r}"
            )
        if self.key is not None and not callable(self.key):
            raise ConfigurationError(
                f"ConcurrencyLimit: key takes a function of the event, not {self.key!r}"
            )

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Call the handler, if there is a place for it; else postpone the event."""
        key = None if self.key is None else self.key(event)
        if key is None and self.key is not None:
            return await call_next(event)
        who, places = claimant(event), self._of(key)
        if places.has(who):  # It is around the handler twice.
            return await call_next(event)
        if not places.enter(who, self.clock()):
            freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            places.queue(who, freed, self.clock())
            raise Postpone(PATIENCE, until=freed)
        try:
            return await call_next(event)
        finally:
            places.leave(who, self.clock())
            self._tidy(key)

    def _of(self, key: Hashable) -> Places:
        places = self._places.get(key)
        if places is None:
            # Where nobody came back to, nobody tidies up: look at one other for each new one.
            if self._places:
                self._tidy(next(iter(self._places)))
            places = self._places[key] = Places(self.limit)
        return places

    def _tidy(self, key: Hashable) -> None:
        """Forget a key that nobody needs; else it is the last one to be looked at again."""
        places = self._places.pop(key, None)
        if places is not None and not places.is_deserted(self.clock()):
            self._places[key] = places
