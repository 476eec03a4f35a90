"""One event, and a handler run with it as a listener would."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import pytest

from dispytch.dependencies import Wiring, app_scope, bind
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.messages import Delivery, Lease

Resolve = Callable[..., Awaitable[Any]]


@pytest.fixture
def event() -> Event[Any]:
    return Event(
        {"n": 7},
        Envelope("the-id", "made", "tests", None, "application/json", b'{"n": 7}'),
        Delivery("t", b'{"n": 7}', None, (), Lease("t", "t[0]"), 0),
    )


@pytest.fixture
def resolve(event: Event[Any]) -> Resolve:
    async def run(
        handler: Callable[..., Any],
        values: Mapping[type, object] | None = None,
        *,
        given: Collection[type] = (),
        overrides: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
        times: int = 1,
    ) -> Any:
        values = values or {}
        wiring = Wiring(tuple(values), overrides)
        plan = wiring.plan(handler, given)
        async with app_scope(wiring.app_steps, values) as of_app:
            bound = bind(plan, values, None, of_app)
            for _ in range(times):
                result = await bound(event)
        return result

    return run
