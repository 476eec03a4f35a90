"""Limiting how many runs of handlers start in a time."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, Final

from dispytch.batch import NextBatch
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, Postpone
from dispytch.middleware.chain import Next
from dispytch.middleware.claims import Claimant, Claims, claimant
from dispytch.middleware.kept import Kept
from dispytch.middleware.token_bucket import ROUNDING, TokenBucket

_AHEAD: Final = 10.0
"""Seconds that a turn is given away ahead of its time at most, so that a claim which nobody comes
for costs others no more than that."""

_FURTHEST: Final = 3600.0
"""Seconds that an event is sent away for at most."""


@dataclass(frozen=True, slots=True, eq=False)
class RateLimit:
    """A middleware that starts no more than ``rate`` runs of handlers per ``per`` seconds.

    A run that is too early is postponed until its turn, see `Postpone`: it fails nothing, takes no
    worker, and holds up only the events of its own key. Turns are given in the order in which they
    were asked for. A retry is a run as well.

    All that run under one ``RateLimit`` share it: the handlers of a group, if it is the group's.
    Each process has a limit of its own: n members of a consumer group start n times as many.

    A batch is one run, for each key among its events.

    rate: how many, for each key on its own if there is a ``key``.
    per: in this time, in seconds if it is a number.
    burst: how many may start at once after a rest. In any time of ``per``, up to ``rate + burst``
        runs start.
    key: a function of the event that says whose limit it counts for: a tenant, a sender. None
        counts for no limit.
    max_keys: how many keys are remembered. Those whose rest is over are forgotten first; beyond
        that the one unused for longest is, and starts anew.
    clock: gives seconds, from any start on; if not given, the service's own, which a probe moves.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    rate: float
    per: timedelta | float = 1.0
    burst: int = 1
    key: Callable[[Event[Any]], Hashable] | None = None
    max_keys: int = 10_000
    clock: Callable[[], float] | None = None
    _kept: "Kept[_Turns]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        per = self.per.total_seconds() if isinstance(self.per, timedelta) else self.per
        _require(_is_positive(self.rate), "rate must be positive", self.rate)
        _require(_is_positive(per), "per must be a positive time", self.per)
        _require(_is_whole(self.burst), "burst must be at least 1", self.burst)
        _require(_is_whole(self.max_keys), "max_keys must be at least 1", self.max_keys)
        _require(
            self.key is None or callable(self.key), "key takes a function of the event", self.key
        )
        turns = partial(_Turns, per / self.rate, self.burst, self.max_keys)
        object.__setattr__(self, "_kept", Kept(turns, self.clock))

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Call the handler, if it is its turn; else postpone the event."""
        key = None if self.key is None else self.key(event)
        turns, now = self._kept.now()
        who = claimant(event)
        if (key is None and self.key is not None) or who in turns.inside:
            return await call_next(event)
        turns.let_pass(who, key, now)
        turns.inside.add(who)
        try:
            return await call_next(event)
        except Postpone as decision:
            turns, now = self._kept.now()
            turns.keep(who, now, decision.seconds)
            raise
        finally:
            turns.inside.discard(who)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Call the handler, if it is its turn for each key; else postpone the batch."""
        firsts: dict[Hashable, Claimant] = {}
        for event in events:
            key = None if self.key is None else self.key(event)
            firsts.setdefault(key, claimant(event))
        if self.key is not None:
            firsts.pop(None, None)
        turns, now = self._kept.now()
        passing = {key: who for key, who in firsts.items() if who not in turns.inside}
        turns.let_all_pass(passing, now)
        turns.inside.update(passing.values())
        try:
            await call_next(events)
        except Postpone as decision:
            turns, now = self._kept.now()
            for who in passing.values():
                turns.keep(who, now, decision.seconds)
            raise
        finally:
            turns.inside.difference_update(passing.values())


class _Turns:
    """The turns of one limit: those that are taken, and those that postponed runs come back for."""

    def __init__(self, interval: float, burst: int, max_keys: int) -> None:
        self._interval = interval
        self._burst = burst
        self._max_keys = max_keys
        self.buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()
        self.claims = Claims()
        self.inside: set[Claimant] = set()

    def let_pass(self, who: Claimant, key: Hashable, now: float) -> None:
        """Take a turn; raises `Postpone` if it is yet to come."""
        claimed = self.claims.due(who, now)
        if claimed is not None:
            if claimed - now > ROUNDING:
                raise Postpone(claimed - now)
            self.claims.use(who)
            return
        bucket = self._bucket(key, now)
        wait = bucket.wait(now)
        if wait - _AHEAD > ROUNDING:
            # No turn comes sooner than the next one that is free now.
            raise Postpone(min(wait - _AHEAD, _FURTHEST))
        bucket.take(now)
        if wait > 0:
            self.claims.make(who, now, due=now + wait, until=now + wait)
            raise Postpone(wait)

    def let_all_pass(self, passing: Mapping[Hashable, Claimant], now: float) -> None:
        """Take a turn for each key; keeps them, and raises `Postpone`, if one is yet to come."""
        wait, passed = 0.0, list[Claimant]()
        for key, who in passing.items():
            try:
                self.let_pass(who, key, now)
                passed.append(who)
            except Postpone as decision:
                wait = max(wait, decision.seconds)
        if wait > 0:
            for who in passed:
                self.keep(who, now, wait)
            raise Postpone(wait)

    def keep(self, who: Claimant, now: float, seconds: float) -> None:
        """Let a run that has not begun keep the turn that it was given."""
        self.claims.make(who, now, due=now, until=now + seconds)

    def _bucket(self, key: Hashable, now: float) -> TokenBucket:
        buckets = self.buckets
        bucket = buckets.get(key)
        if bucket is not None:
            buckets.move_to_end(key)
            return bucket
        while buckets and (
            len(buckets) >= self._max_keys or next(iter(buckets.values())).is_full(now)
        ):
            buckets.popitem(last=False)
        bucket = buckets[key] = TokenBucket(self._interval, self._burst)
        return bucket


def _require(met: bool, text: str, value: object) -> None:
    if not met:
        raise ConfigurationError(f"RateLimit: {text}, not {value!r}")


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and isinstance(value, int | float) and 0 < value < inf


def _is_whole(value: object) -> bool:
    return type(value) is int and value >= 1
