"""The time that calls to `send` have, on a clock of the test's own."""

import asyncio
from collections.abc import Callable

import pytest

from dispytch.kafka.sending import Sendings


class FakeTimer:
    def __init__(self, when: float) -> None:
        self.when = when
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """A clock, and the timers that were set on it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[FakeTimer, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(when)
        self.timers.append((timer, callback))
        return timer

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [entry for entry in self.timers if entry[0].when <= self.now]
        for entry in due:
            self.timers.remove(entry)
            entry[1]()


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


def sendings(loop: FakeLoop, monkeypatch: pytest.MonkeyPatch) -> Sendings:
    made = Sendings(30.0)
    monkeypatch.setattr(made, "_loop", loop)
    return made


async def test_each_runs_out_of_its_own_time(
    loop: FakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = sendings(loop, monkeypatch)
    first = under_way.begin(1)
    loop.advance(10)
    second, done = under_way.begin(1), under_way.begin(1)
    under_way.end(done)
    loop.advance(19)
    assert not first.done.done()
    loop.advance(1)
    assert isinstance(first.done.exception(), TimeoutError)
    under_way.end(first)
    loop.advance(9)
    assert not second.done.done()
    loop.advance(1)
    assert isinstance(second.done.exception(), TimeoutError)
    assert not done.done.done()


async def test_any_number_of_them_takes_one_timer(
    loop: FakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = sendings(loop, monkeypatch)
    for _ in range(1000):
        under_way.end(under_way.begin(1))
    under_way.begin(1)
    assert len(loop.timers) == 1
    loop.advance(30)
    assert not loop.timers


async def test_it_is_told_when_the_last_of_them_has_ended() -> None:
    under_way = Sendings(30.0)
    await under_way.ended()
    first, second = under_way.begin(1), under_way.begin(1)
    waiting = asyncio.ensure_future(under_way.ended())
    for sending in (first, second):
        await asyncio.sleep(0)
        assert not waiting.done()
        under_way.end(sending)
        assert sending.over
    await waiting
