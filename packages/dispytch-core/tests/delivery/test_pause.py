"""A pause ends once, with whatever comes first."""

import asyncio
from typing import Any

import pytest

from dispytch.delivery.attempt import Attempt
from dispytch.delivery.pause import Pause


class Loop:
    """Keeps the timers that a pause sets, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Any]] = []
        self.cancelled = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> "Loop":
        self.timers.append((when, callback))
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def fire(self) -> None:
        ((self.now, callback),) = self.timers
        callback()


@pytest.fixture
def loop() -> Any:
    return Loop()


def attempt(due: float, until: asyncio.Future[None] | None = None, began: float = 0.0) -> Attempt:
    route: Any = None
    return Attempt(route, 1, 0, began, 0.0, due, until)


async def let_callbacks_run() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_it_ends_with_the_first_that_is_due(loop: Any) -> None:
    ends: list[int] = []
    Pause(loop, [attempt(5.0), attempt(3.0)], lambda: ends.append(1))
    assert [when for when, _ in loop.timers] == [3.0]
    loop.fire()
    assert ends == [1]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_it_waits_for_ends_it_earlier(loop: Any, cancelled: bool) -> None:
    ends: list[int] = []
    until: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gated, other = attempt(5.0, until, began=4.0), attempt(9.0)
    Pause(loop, [gated, other], lambda: ends.append(1))
    loop.now = 1.0
    if cancelled:
        until.cancel()
    else:
        until.set_result(None)
    await let_callbacks_run()
    assert ends == [1]
    assert loop.cancelled == 1
    assert (gated.due, gated.began, other.due) == (1.0, 0.0, 9.0)


async def test_what_comes_after_its_end_has_no_effect(loop: Any) -> None:
    ends: list[int] = []
    untils = [asyncio.get_running_loop().create_future() for _ in range(2)]
    attempts = [attempt(5.0, until) for until in untils]
    Pause(loop, attempts, lambda: ends.append(1))
    untils[0].set_result(None)
    await let_callbacks_run()
    untils[1].set_result(None)
    await let_callbacks_run()
    loop.fire()
    assert ends == [1]
    assert [one.due for one in attempts] == [0.0, 5.0]


async def test_what_is_over_already_ends_it_at_once(loop: Any) -> None:
    ends: list[int] = []
    until: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    until.set_result(None)
    Pause(loop, [attempt(5.0, until)], lambda: ends.append(1))
    await let_callbacks_run()
    assert ends == [1]
