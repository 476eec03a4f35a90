"""What is remembered under names from the wire is bounded in bytes."""

import tracemalloc
from collections.abc import Hashable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch import Event
from dispytch.delivery import Lookups
from dispytch.envelope import Envelope
from dispytch.exceptions import RegistryUnavailable
from dispytch.messages import Delivery, Lease
from dispytch.middleware import ConcurrencyLimit, Idempotent, MemoryStore, RateLimit
from dispytch.retry import RetryPolicy
from dispytch.routing import Route, Router
from dispytch.serialization import Codecs, Unresolved
from dispytch.short_names import LONGEST, is_short, short

names = st.text(max_size=2 * LONGEST) | st.binary(max_size=2 * LONGEST)


@given(names, names)
def test_a_short_name_stands_for_one_name(one: Any, other: Any) -> None:
    assert is_short(short(one))
    assert short(short(one)) == short(one)
    assert type(short(one)) is type(one)
    assert (short(one) == short(other)) == (one == other)


@pytest.mark.parametrize("name", ["a" * LONGEST, b"a", None, 5, ("a", None)])
def test_what_is_short_is_as_it_is(name: Hashable) -> None:
    assert short(name) == name


def test_names_in_tuples_are_shortened_and_surrogates_are_borne() -> None:
    assert len(short("\ud800" * 1000)) <= LONGEST
    kind, topic = short(("x" * 1000, "orders"))
    assert len(kind) <= LONGEST
    assert topic == "orders"


def long_names() -> Iterator[str]:
    for number in range(300):
        yield "x" * 900_000 + str(number)


async def run(event: Event[Any]) -> None: ...


def routed() -> Router:
    return Router(
        [
            Route(
                name="handle",
                topic="user.*",
                event=None,
                decode=lambda envelope: None,
                run=run,
                retry=RetryPolicy(),
                dead_letter="drop",
                timeout=None,
            )
        ]
    )


def event_of(name: str) -> Event[Any]:
    delivery = Delivery("orders", b"", None, (), Lease("orders", "orders[0]"), 1)
    return Event(None, Envelope(name, "placed", "/", None, None, b""), delivery, 1, "handle")


async def remember_topics() -> object:
    router = routed()
    for name in long_names():
        assert router.find(f"user.{name}", None)
    return router


async def remember_content_types() -> object:
    codecs = Codecs()
    for name in long_names():
        codecs.reading(f"application/json; {name}")
    return codecs


async def remember_ids() -> object:
    store = MemoryStore()
    for name in long_names():
        await store.remember(name, 60)
        assert await store.seen(name)
    return store


async def remember_events() -> object:
    once = Idempotent()
    for name in long_names():
        await once(event_of(name), run)
    return once


async def remember_rates() -> object:
    limit = RateLimit(1, per=3600, key=lambda event: event.id)
    for name in long_names():
        await limit(event_of(name), run)
    return limit


async def remember_places() -> object:
    limit = ConcurrencyLimit(1, key=lambda event: event.id)
    for name in long_names():
        await limit(event_of(name), run)
    return limit


async def remember_lookups() -> object:
    lookups = Lookups()

    def missing() -> None:
        raise AssertionError

    for name in long_names():

        async def ask() -> None:
            raise RegistryUnavailable("nobody answers")

        with pytest.raises(RegistryUnavailable):
            await lookups.read(missing, Unresolved(ask, name))
    return lookups


@pytest.mark.parametrize(
    "remember",
    [
        remember_topics,
        remember_content_types,
        remember_ids,
        remember_events,
        remember_rates,
        remember_places,
        remember_lookups,
    ],
)
async def test_long_names_take_little_memory(remember: Any) -> None:
    tracemalloc.start()
    try:
        kept = await remember()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept is not None
    assert size < 5_000_000, f"{size / 1e6:.0f} MB"
