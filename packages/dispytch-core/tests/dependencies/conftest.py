"""One event, and a handler run with it as a listener would."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from dispytch.dependencies import bind, compile_handler
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.messages import Delivery, Lease

Resolve = Callable[..., Awaitable[Any]]


@pytest.fixture
def event() -> Event[Any]:
    return Event(
        {"n": 7},
        Envelope("the-id", "made", "tests", None, "application/json", b'{"n": 7}'),
        Delivery(topic="t", value=b'{"n": 7}', lease=Lease("t", "t[0]"), position=0),
    )


@pytest.fixture
def resolve(event: Event[Any]) -> Resolve:
    async def run(handler: Callable[..., Any], values: Mapping[type, object] | None = None) -> Any:
        values = values or {}
        return await bind(compile_handler(handler, provided=tuple(values)), values)(event)

    return run
