"""Events, a clock and a handler for tests of middlewares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dispytch import Event
from dispytch.envelope import Envelope
from dispytch.messages import Delivery, Lease

MakeEvent = Callable[..., Event[Any]]


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def an_event() -> MakeEvent:
    """Makes events, each of which stands in a place of its own unless it is told where."""
    lease, count = Lease("orders", "orders[0]"), 0

    def make(key: str | None = None, *, position: int | None = None) -> Event[Any]:
        nonlocal count
        count += 1
        place = count if position is None else position
        raw = None if key is None else key.encode()
        return Event(
            {"number": place},
            Envelope(f"id-{place}", "ordered", "shop", None, "application/json", b"{}"),
            Delivery("orders", b"{}", raw, (), lease, place),
            1,
            "shop.handle",
        )

    return make
