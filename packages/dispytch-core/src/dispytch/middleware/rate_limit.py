"""Limiting how many runs of handlers start in a time."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, Final

from dispytch.awaitables import awaited
from dispytch.batch import NextBatch
from dispytch.events import Event
from dispytch.exceptions import BatchFailed, ConfigurationError, Postpone
from dispytch.gates import Now, Waiting, end
from dispytch.middleware.chain import Next
from dispytch.middleware.kept import Kept
from dispytch.middleware.passing import Claimant, claimant, has_not_begun, let_pass
from dispytch.middleware.turns import Turns
from dispytch.short_names import short

_FURTHEST: Final = 3600.0
"""Seconds after which who waits asks again at the latest, so that it waits at the broker for no
longer than that. It is called when its turn comes."""


@dataclass(frozen=True, slots=True, eq=False)
class RateLimit:
    """A middleware that starts no more than ``rate`` runs of handlers per ``per`` seconds.

    A run that is too early is postponed until its turn, see `Postpone`: it fails nothing, takes no
    worker, and holds up only the events of its own key. Turns are given in the order in which they
    were asked for, however far ahead they lie; waiting costs nothing. A turn that an event does not
    take, as another middleware skips it or as its partition is revoked, is the next one's. A retry
    is a run as well.

    All that run under one ``RateLimit`` share it: the handlers of a group, if it is the group's.
    Each process has a limit of its own: n members of a consumer group start n times as many.

    A batch is one run, for each key among its events.

    rate: how many, for each key on its own if there is a ``key``.
    per: in this time, in seconds if it is a number.
    burst: how many may start at once after a rest. In any time of ``per``, up to ``rate + burst``
        runs start.
    key: a function of the event, async or not, that says whose limit it counts for: a tenant,
        a sender. None counts for no limit.
    max_keys: how many keys are remembered, beside those at which events wait. Those whose rest is
        over are forgotten first; beyond that the one unused for longest is, and starts anew.
    clock: gives seconds, from any start on; if not given, the service's own, which a probe moves.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    rate: float
    per: timedelta | float = 1.0
    burst: int = 1
    key: Callable[[Event[Any]], Hashable | Awaitable[Hashable]] | None = None
    max_keys: int = 10_000
    clock: Callable[[], float] | None = None
    _kept: "Kept[_TurnsByKey]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        per = self.per.total_seconds() if isinstance(self.per, timedelta) else self.per
        _require(_is_positive(self.rate), "rate must be positive", self.rate)
        _require(_is_positive(per), "per must be a positive time", self.per)
        _require(_is_whole(self.burst), "burst must be at least 1", self.burst)
        _require(_is_whole(self.max_keys), "max_keys must be at least 1", self.max_keys)
        _require(
            self.key is None or callable(self.key), "key takes a function of the event", self.key
        )
        turns = partial(_TurnsByKey, per / self.rate, self.burst, self.max_keys)
        object.__setattr__(self, "_kept", Kept(turns, self.clock))

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Call the handler, if it is its turn; else postpone the event."""
        key = None if self.key is None else short(await awaited(self.key(event)))
        by_key, now = self._kept.timed()
        who = claimant(event)
        if (key is None and self.key is not None) or who in by_key.inside:
            return await call_next(event)
        turns = (by_key.of(key, now()),)
        let_pass((event,), self, turns, now, partial(_seconds, turns, now))
        by_key.inside.add(who)
        try:
            return await call_next(event)
        except Postpone:
            end(turns, now())
            raise
        finally:
            by_key.inside.discard(who)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Call the handler, if it is its turn for each key; else postpone the batch."""
        keys: dict[Hashable, None] = {}
        for event in events:
            keys[None if self.key is None else short(await awaited(self.key(event)))] = None
        if self.key is not None:
            keys.pop(None, None)
        by_key, now = self._kept.timed()
        inside = set(map(claimant, events))
        if not keys or not inside.isdisjoint(by_key.inside):
            return await call_next(events)
        turns = [by_key.of(key, now()) for key in keys]
        let_pass(events, self, turns, now, partial(_seconds, turns, now))
        by_key.inside |= inside
        try:
            return await call_next(events)
        except (Postpone, BatchFailed) as error:
            if has_not_begun(len(events), error):
                end(turns, now())
            raise
        finally:
            by_key.inside -= inside


def _seconds(turns: Collection[Turns], now: Now, waiting: Waiting) -> float:
    return min(_FURTHEST, max(each.seconds(waiting, now()) for each in turns))


class _TurnsByKey:
    """The turns of every key.

    inside: the runs that have theirs; the limit may be around a handler twice.
    """

    def __init__(self, interval: float, burst: int, max_keys: int) -> None:
        self._interval = interval
        self._burst = burst
        self._max_keys = max_keys
        self.turns: OrderedDict[Hashable, Turns] = OrderedDict()
        self.inside: set[Claimant] = set()

    def of(self, key: Hashable, now: float) -> Turns:
        """The turns of a key."""
        turns = self.turns.get(key)
        if turns is None:
            self._forget(now)
            turns = self.turns[key] = Turns(self._interval, self._burst)
        else:
            self.turns.move_to_end(key)
        return turns

    def _forget(self, now: float) -> None:
        """Forget those that have rested, and beyond the limit those that nobody waits at."""
        for _ in range(len(self.turns)):
            key, oldest = next(iter(self.turns.items()))
            if not (len(self.turns) >= self._max_keys or oldest.has_rested(now)):
                return
            if oldest.is_deserted:
                del self.turns[key]
            else:
                self.turns.move_to_end(key)


def _require(met: bool, text: str, value: object) -> None:
    if not met:
        raise ConfigurationError(f"RateLimit: {text}, not {value!r}")


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and isinstance(value, int | float) and 0 < value < inf


def _is_whole(value: object) -> bool:
    return type(value) is int and value >= 1
