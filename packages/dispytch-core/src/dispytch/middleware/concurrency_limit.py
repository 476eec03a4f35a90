"""Limiting how many runs of handlers there are at once."""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dispytch.batch import NextBatch
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, Postpone
from dispytch.middleware.chain import Next
from dispytch.middleware.claims import Claimant, claimant
from dispytch.middleware.kept import Kept
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

    A batch is one run, and has a place with each key among its events, or with none while it waits.

    limit: how many, for each key on its own if there is a ``key``.
    key: a function of the event that says whose limit it counts for: a tenant, an account. None
        counts for no limit.
    clock: gives seconds, from any start on; if not given, the service's own, which a probe moves.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    limit: int
    key: Callable[[Event[Any]], Hashable] | None = None
    clock: Callable[[], float] | None = None
    _kept: "Kept[_PlacesByKey]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if type(self.limit) is not int or self.limit < 1:
            raise ConfigurationError(
                f"ConcurrencyLimit: limit must be at least 1, not {self.limit!r}"
            )
        if self.key is not None and not callable(self.key):
            raise ConfigurationError(
                f"ConcurrencyLimit: key takes a function of the event, not {self.key!r}"
            )
        object.__setattr__(self, "_kept", Kept(partial(_PlacesByKey, self.limit), self.clock))

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Call the handler, if there is a place for it; else postpone the event."""
        key = None if self.key is None else self.key(event)
        if key is None and self.key is not None:
            return await call_next(event)
        by_key, now = self._kept.now()
        who, places = claimant(event), by_key.of(key, now)
        if places.has(who):  # It is around the handler twice.
            return await call_next(event)
        _enter(who, places, now)
        try:
            return await call_next(event)
        finally:
            _, now = self._kept.now()
            places.leave(who, now)
            by_key.tidy(key, now)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Call the handler, if there is a place with each key; else postpone the batch."""
        keys = dict.fromkeys([None] if self.key is None else map(self.key, events))
        if self.key is not None:
            keys.pop(None, None)
        by_key, now = self._kept.now()
        who, held = claimant(events[0]), dict[Hashable, Places]()
        try:
            for key in keys:
                places = by_key.of(key, now)
                if not places.has(who):
                    _enter(who, places, now)
                    held[key] = places
            await call_next(events)
        finally:
            _, now = self._kept.now()
            for key, places in held.items():
                places.leave(who, now)
                by_key.tidy(key, now)


def _enter(who: Claimant, places: Places, now: float) -> None:
    """Take a place, or queue for one; raises `Postpone` then."""
    if not places.enter(who, now):
        freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        places.queue(who, freed, now)
        raise Postpone(PATIENCE, until=freed)


class _PlacesByKey:
    """Places for every key; those of keys that nobody needs are forgotten."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.places: dict[Hashable, Places] = {}

    def of(self, key: Hashable, now: float) -> Places:
        """The places of a key."""
        places = self.places.get(key)
        if places is None:
            # Where nobody came back to, nobody tidies up: look at one other for each new one.
            if self.places:
                self.tidy(next(iter(self.places)), now)
            places = self.places[key] = Places(self._limit)
        return places

    def tidy(self, key: Hashable, now: float) -> None:
        """Forget a key that nobody needs; else it is the last one to be looked at again."""
        places = self.places.pop(key, None)
        if places is not None and not places.is_deserted(now):
            self.places[key] = places
