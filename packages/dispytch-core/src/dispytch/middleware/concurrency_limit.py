"""Limiting how many runs of handlers there are at once."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from dispytch.awaitables import awaited
from dispytch.batch import NextBatch
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError
from dispytch.gates import Waiting, end
from dispytch.middleware.chain import Next
from dispytch.middleware.kept import Kept
from dispytch.middleware.passing import Claimant, claimant, let_pass
from dispytch.middleware.places import Places
from dispytch.short_names import short

_ASK_AGAIN: Final = 60.0
"""Seconds after which who waits asks again, so that it waits at the broker if that wants it back.
It is called as soon as there is a place."""


@dataclass(frozen=True, slots=True, eq=False)
class ConcurrencyLimit:
    """A middleware that lets no more than ``limit`` runs of handlers go on at once.

    A run that finds no place is postponed until one is free, see `Postpone`: it fails nothing,
    takes no worker, and holds up only the events of its own key. Places are given in the order in
    which they were asked for. A place is kept only for a run that is on its way to its handler: one
    that is skipped, fails, is cancelled or revoked before leaves it to the next.

    All that run under one ``ConcurrencyLimit`` share it: to limit handlers each on its own, give
    each its own, or ``key=lambda event: event.handler``. Each process has a limit of its own.

    A batch is one run, and has a place with each key among its events. It gets them all at once,
    and holds none while it waits; the same counts for a run that waits at several limits.

    limit: how many, for each key on its own if there is a ``key``.
    key: a function of the event, async or not, that says whose limit it counts for: a tenant,
        an account. None counts for no limit.
    clock: gives seconds, from any start on; if not given, the service's own, which a probe moves.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    limit: int
    key: Callable[[Event[Any]], Hashable | Awaitable[Hashable]] | None = None
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
        key = None if self.key is None else short(await awaited(self.key(event)))
        by_key, now = self._kept.timed()
        who = claimant(event)
        if (key is None and self.key is not None) or who in by_key.inside:
            return await call_next(event)
        places = (by_key.of(key),)
        let_pass((event,), self, places, now, _ask_again)
        by_key.inside.add(who)
        try:
            return await call_next(event)
        finally:
            by_key.inside.discard(who)
            end(places, now())
            by_key.tidy(key)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Call the handler, if there is a place with each key; else postpone the batch."""
        keys: dict[Hashable, None] = {}
        for event in events:
            keys[None if self.key is None else short(await awaited(self.key(event)))] = None
        if self.key is not None:
            keys.pop(None, None)
        by_key, now = self._kept.timed()
        inside = set(map(claimant, events))
        if not keys or not inside.isdisjoint(by_key.inside):
            return await call_next(events)
        places = [by_key.of(key) for key in keys]
        let_pass(events, self, places, now, _ask_again)
        by_key.inside |= inside
        try:
            return await call_next(events)
        finally:
            by_key.inside -= inside
            end(places, now())
            for key in keys:
                by_key.tidy(key)


def _ask_again(_: Waiting) -> float:
    return _ASK_AGAIN


class _PlacesByKey:
    """Places for every key; those of keys that nobody needs are forgotten.

    inside: the runs that have theirs; the limit may be around a handler twice.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.places: dict[Hashable, Places] = {}
        self.inside: set[Claimant] = set()

    def of(self, key: Hashable) -> Places:
        """The places of a key."""
        places = self.places.get(key)
        if places is None:
            # Where nobody came back to, nobody tidies up: look at one other for each new one.
            if self.places:
                self.tidy(next(iter(self.places)))
            places = self.places[key] = Places(self._limit)
        return places

    def tidy(self, key: Hashable) -> None:
        """Forget a key that nobody needs; else it is the last one to be looked at again."""
        places = self.places.pop(key, None)
        if places is not None and not places.is_deserted:
            self.places[key] = places
