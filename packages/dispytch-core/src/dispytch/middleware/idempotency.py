"""Handling an event once, although it is delivered at least once."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Any, Final, Protocol, runtime_checkable

from dispytch.batch import NextBatch, failures_among
from dispytch.events import Event
from dispytch.exceptions import BatchFailed, ConfigurationError, Skip
from dispytch.failing import failure_of
from dispytch.middleware.chain import Next
from dispytch.middleware.kept import Kept
from dispytch.printable import quoted
from dispytch.short_names import short

_DAY: Final = timedelta(days=1)


@runtime_checkable
class IdempotencyStore(Protocol):
    """Remembers keys for a while; used by many events at once.

    A key is an ASCII text of up to 255 characters that names a handler and an event. What a method
    raises counts as the handler's failure.
    """

    async def seen(self, key: str, /) -> bool:
        """Whether the key is remembered and its time is not over.

        To say yes to a key that was never remembered loses an event.
        """
        ...

    async def remember(self, key: str, ttl: float, /) -> None:
        """Remember the key for ``ttl`` seconds from now, also if it was remembered before.

        It is durable, as far as the store is, when this returns.
        """
        ...


class MemoryStore:
    """Keys in the memory of this process, gone when it ends.

    max_size: how many keys are kept; beyond it the one that was remembered first is forgotten.
    clock: gives seconds, from any start on; if not given, the service's own. A service under test
        finds nothing of the tests before.

    Raises:
        ConfigurationError: ``max_size`` is no positive whole number.
    """

    def __init__(
        self, max_size: int = 100_000, *, clock: Callable[[], float] | None = None
    ) -> None:
        if type(max_size) is not int or max_size < 1:
            raise ConfigurationError(f"MemoryStore: max_size must be at least 1, not {max_size!r}")
        self._max_size = max_size
        self._kept: Kept[OrderedDict[str, float]] = Kept(OrderedDict, clock)

    def __len__(self) -> int:
        """How many keys are kept, those included whose time is over."""
        return sum(map(len, self._kept.all))

    async def seen(self, key: str, /) -> bool:
        """Whether the key is remembered and its time is not over."""
        expiry, now = self._kept.now()
        return now < expiry.get(short(key), -inf)

    async def remember(self, key: str, ttl: float, /) -> None:
        """Remember the key for ``ttl`` seconds from now."""
        expiry, now = self._kept.now()
        key = short(key)
        expiry[key] = now + ttl
        expiry.move_to_end(key)
        while len(expiry) > self._max_size or next(iter(expiry.values())) <= now:
            expiry.popitem(last=False)
            if not expiry:
                break


class Idempotent:
    """A middleware that skips events which a handler has handled already.

    An event is known by its source and id, and by the handler's name. It is remembered once the
    handler has returned: one that fails, or raises `Skip`, leaves no mark. A duplicate raises
    `Skip`: it is settled and counted as skipped. Two deliveries of one event never run beside
    each other in one `Idempotent`: the second waits for the end of the first, within the handler's
    timeout.

    Around a batch handler, the duplicates among the events of a batch are skipped, and the handler
    gets the others; those that it does not name in a `BatchFailed` are remembered.

    An event that its producer gave no id is never skipped; an id without a source is one within
    its topic only. An error of the store counts as the handler's failure: it is retried as the
    retry policy says, and so the handler may run again.

    The consumer group is no part of what is remembered: give each listener an `Idempotent`, and a
    store, of its own.

    store: a `MemoryStore` if none is given.
    ttl: for how long an event is remembered, in seconds if it is a number.

    Raises:
        ConfigurationError: a store without the methods, a time that is not positive.
    """

    def __init__(
        self, store: IdempotencyStore | None = None, ttl: timedelta | float = _DAY
    ) -> None:
        if store is not None and not isinstance(store, IdempotencyStore):
            raise ConfigurationError(
                f"Idempotent: a store has the methods seen and remember, {store!r} has not"
            )
        self._store: IdempotencyStore = MemoryStore() if store is None else store
        self._ttl = _seconds(ttl)
        self._running: dict[str, _Run] = {}

    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        """Call the handler, unless it has handled this event."""
        key = _key(event)
        if key is None or self._within(key):
            return await call_next(event)
        while (other := self._running.get(key)) is not None:
            await asyncio.wait([other.ended])
        run = self._running[key] = _Run(asyncio.current_task(), asyncio.Future())
        try:
            return await self._run(key, event, call_next)
        finally:
            del self._running[key]
            run.ended.set_result(None)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Call the handler with those of the events that it has not handled."""
        keys = {index: key for index, key in enumerate(map(_key, events)) if key is not None}
        keys = {index: key for index, key in keys.items() if not self._within(key)}
        claimed: dict[str, _Run] = {}
        try:
            # In one order, so that no two batches wait for each other.
            for key in sorted(set(keys.values())):
                while (other := self._running.get(key)) is not None:
                    await asyncio.wait([other.ended])
                claimed[key] = self._running[key] = _Run(asyncio.current_task(), asyncio.Future())
            await self._run_batch(keys, events, call_next)
        finally:
            for key, run in claimed.items():
                del self._running[key]
                run.ended.set_result(None)

    async def _run_batch(
        self, keys: Mapping[int, str], events: list[Event[Any]], call_next: NextBatch
    ) -> None:
        firsts = {key: index for index, key in reversed(list(keys.items()))}
        seen = await asyncio.gather(*map(self._store.seen, firsts))
        known = {key for key, is_known in zip(firsts, seen, strict=True) if is_known}
        failures: dict[int, Exception] = {firsts[key]: _skip(events[firsts[key]]) for key in known}
        repeats = {index: firsts[key] for index, key in keys.items() if firsts[key] != index}
        new = [index for index in range(len(events)) if index not in {*failures, *repeats}]
        try:
            await call_next([events[index] for index in new])
        except Exception as error:
            failures |= failures_among(len(events), error)
        failures |= await self._remember_all(
            {key: index for key, index in firsts.items() if index not in failures}
        )
        for index, first in repeats.items():
            # It has the fate of the one that it repeats, but for being handled.
            failures[index] = failures.get(first, _skip(events[index]))
        if failures:
            raise BatchFailed(failures)

    async def _remember_all(self, done: Mapping[str, int]) -> Mapping[int, Exception]:
        """Remember keys; those that the store has not taken, by the index of their event."""
        noted = (self._store.remember(key, self._ttl) for key in done)
        results = await asyncio.gather(*noted, return_exceptions=True)
        return {
            index: failure_of(result)
            for index, result in zip(done.values(), results, strict=True)
            if isinstance(result, BaseException)
        }

    async def _run(self, key: str, event: Event[Any], call_next: Next) -> Any:
        if await self._store.seen(key):
            raise _skip(event)
        result = await call_next(event)
        await self._store.remember(key, self._ttl)
        return result

    def _within(self, key: str) -> bool:
        """Whether this is called from within itself, as by a listener and a group that share it."""
        run = self._running.get(key)
        return run is not None and run.task is asyncio.current_task()


@dataclass(eq=False, slots=True)
class _Run:
    task: "asyncio.Task[Any] | None"
    ended: "asyncio.Future[None]"


def _skip(event: Event[Any]) -> Skip:
    return Skip(f"event {quoted(event.id)} has been handled by {event.handler} before")


def _key(event: Event[Any]) -> str | None:
    """What an event is remembered under; None when nothing tells it from others."""
    if event.source:
        return short(json.dumps((event.handler, event.source, event.id)))
    if event.id == f"{event.stream}/{event.position}":
        # The wire format made it up. A broker gives one place to several messages over time: a
        # delivery tag after a reconnect, an offset in a topic that was made again.
        return None
    return short(json.dumps((event.handler, event.topic, None, event.id)))


def _seconds(ttl: timedelta | float) -> float:
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if type(seconds) not in (int, float) or not 0 < seconds < inf:
        raise ConfigurationError(f"Idempotent: ttl must be a positive time, not {ttl!r}")
    return float(seconds)
