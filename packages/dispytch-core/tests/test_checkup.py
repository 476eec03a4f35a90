"""How a service is, on a consumer that is as the test wants it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import pytest

from dispytch import checkup
from dispytch.checkup import Checkup, Journal
from dispytch.delivery import Engine
from dispytch.delivery.attempt import Owed
from dispytch.delivery.lanes import Lanes
from dispytch.exceptions import TransportError, reason_of
from dispytch.messages import Delivery, Lease
from dispytch.testing.transport.reader import eventually
from dispytch.transport import CONNECTION, Consumer

Lag = Callable[[], Awaitable[Mapping[str, int]]]


class Patient(Consumer):
    """A consumer that nothing is received from."""

    def __init__(self, lag: Lag) -> None:
        self._lag = lag
        self.asked = 0
        self.wrong: Mapping[str, str] | Exception = {}

    async def receive(self) -> Sequence[Delivery]:
        raise AssertionError("nobody receives")

    def ack(self, delivery: Delivery) -> None:
        raise AssertionError("nobody settles")

    nack = ack

    async def flush(self) -> None:
        raise AssertionError("nobody flushes")

    @property
    def leases(self) -> Collection[Lease]:
        return [Lease("orders", "orders[0]")]

    async def lag(self) -> Mapping[str, int]:
        self.asked += 1
        return await self._lag()

    @property
    def problems(self) -> Mapping[str, str]:
        if isinstance(self.wrong, Exception):
            raise self.wrong
        return self.wrong

    def pause(self, lease: Lease) -> None:
        raise AssertionError("nobody pauses")

    resume = pause

    def stop_receiving(self) -> None:
        raise AssertionError("nobody stops")


async def _two() -> Mapping[str, int]:
    return {"orders[0]": 2}


def looked_after(consumer: Consumer, conditions: Mapping[str, str | None] | None = None) -> Checkup:
    async def handle(delivery: Delivery, owed: Sequence[Owed] | None) -> None:
        raise AssertionError("nothing is handled")

    engine = Engine(handle, lanes=Lanes("key"), concurrency=1, drain_timeout=1)
    return Checkup("billing", consumer, engine, lambda: conditions or {}, interval=0.01)


async def test_without_problems_it_is_healthy() -> None:
    health = await looked_after(Patient(_two)).health(None)
    assert health.healthy
    assert health.connected
    assert health.lag == {"orders[0]": 2}
    assert health.streams == ("orders[0]",)


async def test_problems_of_the_backend_and_of_core_are_all_told() -> None:
    consumer = Patient(_two)
    consumer.wrong = {CONNECTION: "the broker is gone", "stuck": "a stream is stuck"}
    health = await looked_after(consumer, {"stuck": "an event is stuck", "circuit": None}).health(
        None
    )
    assert set(health.problems) == {"the broker is gone", "a stream is stuck", "an event is stuck"}
    assert not health.connected


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TransportError("no route"), "no route"),
        (TransportError(), "TransportError"),
        (TimeoutError(), "TimeoutError"),
        (RuntimeError("  "), "RuntimeError"),
        (KeyError("orders[0]"), "orders[0]"),
    ],
    ids=repr,
)
async def test_whatever_the_question_ends_of_has_a_reason(error: Exception, told: str) -> None:
    async def fail() -> Mapping[str, int]:
        raise error

    health = await looked_after(Patient(fail)).health(None)
    assert not health.connected
    assert health.lag == {}
    (problem,) = health.problems
    assert problem.startswith("the broker does not answer: ")
    assert told in problem


async def test_a_backend_that_cannot_say_how_it_is_is_a_problem() -> None:
    consumer = Patient(_two)
    consumer.wrong = ZeroDivisionError()
    (problem,) = (await looked_after(consumer).health(None)).problems
    assert problem == "the backend cannot say how it is: ZeroDivisionError"


async def test_a_question_that_hangs_and_cannot_be_cancelled_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkup, "ANSWER_WITHIN", 0.05)
    go_on = asyncio.Event()

    async def deaf() -> Mapping[str, int]:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue
        return {}

    consumer = Patient(deaf)
    service = looked_after(consumer)
    async with asyncio.timeout(5):
        for _ in range(3):
            found = await asyncio.gather(*(service.health(None) for _ in range(4)))
            for health in found:
                assert not health.connected
                assert "nothing came within" in health.problems[0]
    assert consumer.asked == 1
    go_on.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await service.health(None)).connected


async def test_the_log_tells_of_beginning_and_end_without_being_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    consumer = Patient(_two)
    service = looked_after(consumer)
    service.begin()
    try:
        consumer.wrong = {"commits": "no commit succeeds"}
        await eventually(lambda: "no commit succeeds" in caplog.text, "its beginning", 5)
        consumer.wrong = {}
        await eventually(lambda: "over after" in caplog.text, "its end", 5)
    finally:
        service.end()
    assert len(caplog.records) == 2
    assert consumer.asked == 0


async def test_after_the_end_nothing_is_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    consumer = Patient(_two)
    service = looked_after(consumer)
    service.begin()
    service.end()
    consumer.wrong = {"commits": "no commit succeeds"}
    await asyncio.sleep(0.05)
    assert not caplog.records


def test_a_problem_is_logged_once_and_its_end_with_its_last_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = Journal("billing")
    journal.note({"group": "waits for 10 s"}, 100.0)
    journal.note({"group": "waits for 70 s", "commits": "none"}, 160.0)
    journal.note({"commits": "none"}, 161.5)
    journal.note({"group": "waits again"}, 162.0)
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [
        (logging.ERROR, "group 'billing': waits for 10 s"),
        (logging.ERROR, "group 'billing': none"),
        (logging.WARNING, "group 'billing': over after 61.5 s: waits for 70 s"),
        (logging.WARNING, "group 'billing': over after 2.0 s: none"),
        (logging.ERROR, "group 'billing': waits again"),
    ]


def test_the_reason_of_an_error_is_never_empty() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert reason_of(ValueError("no")) == "no"
    assert reason_of(TimeoutError()) == "TimeoutError"
    assert reason_of(Mute()) == "<Mute without a text>"
