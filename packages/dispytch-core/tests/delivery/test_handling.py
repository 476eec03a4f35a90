"""From a delivery to its outcome."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from dispytch.delivery import Handling, Outcomes
from dispytch.delivery.attempt import Attempt
from dispytch.events import Event
from dispytch.exceptions import BodyInvalid, DecodeError, EventHalted, HandlerTimeout
from dispytch.failure import FailurePolicy
from dispytch.messages import Delivery, Lease
from dispytch.middleware import Next
from dispytch.retry import RetryPolicy
from dispytch.routing import Route, Router
from dispytch.serialization import CloudEvents, Codecs

THRICE = RetryPolicy(attempts=3, delay=10.0, factor=1.0, jitter=False)


class Order(BaseModel):
    number: int


@dataclass
class Handler:
    """Fails as often as it is told to, then returns; remembers what it was given."""

    failures: list[BaseException] = field(default_factory=list)
    events: list[Event[Order]] = field(default_factory=list)

    async def __call__(self, event: Event[Any]) -> None:
        self.events.append(event)
        if self.failures:
            raise self.failures.pop(0)

    @property
    def attempts(self) -> list[int]:
        return [event.attempt for event in self.events]


def route(
    run: Next,
    *,
    name: str = "shop.handle",
    event: str | None = "placed",
    retry: RetryPolicy | None = None,
    dead_letter: FailurePolicy = "halt",
    timeout: float | None = None,
) -> Route:
    return Route(
        name=name,
        topic="orders",
        event=event,
        adapter=TypeAdapter(Order),
        codecs=Codecs(),
        run=run,
        retry=retry or RetryPolicy(),
        dead_letter=dead_letter,
        timeout=timeout,
    )


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


class Setup:
    def __init__(self, *routes: Route, unreadable: FailurePolicy = "halt") -> None:
        self.clock = Clock()
        self.outcomes = Outcomes()
        self.handle = Handling(
            read=CloudEvents().reader(["ce_"]),
            router=Router(routes),
            unreadable=unreadable,
            outcomes=self.outcomes,
            clock=self.clock,
        )


def delivery(value: bytes = b'{"number": 7}', event_type: str = "placed") -> Delivery:
    headers = [("type", event_type.encode())]
    lease = Lease("orders", "orders[0]")
    return Delivery("orders", value, b"k", headers, lease=lease, position=42)


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dispytch")


async def test_a_handler_gets_the_validated_body_and_the_event_may_be_settled() -> None:
    handler = Handler()
    setup = Setup(route(handler))
    assert await setup.handle(delivery(), None) is None
    assert [event.body for event in handler.events] == [Order(number=7)]
    assert handler.attempts == [1]
    assert setup.outcomes == Outcomes(handled=1)


async def test_a_failed_attempt_is_owed_another_after_its_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = Handler([ValueError("first"), ValueError("second")])
    setup = Setup(route(handler, retry=THRICE))
    one = delivery()
    owed = await setup.handle(one, None)
    assert owed is not None
    assert [(attempt.number, attempt.due) for attempt in owed] == [(2, 110.0)]
    setup.clock.now = 110.0
    owed = await setup.handle(one, owed)
    assert owed is not None
    assert [(attempt.number, attempt.due) for attempt in owed] == [(3, 120.0)]
    setup.clock.now = 125.0
    assert await setup.handle(one, owed) is None
    assert handler.attempts == [1, 2, 3]
    assert setup.outcomes == Outcomes(handled=1, retried=2)
    assert "attempt 1 failed" in caplog.text
    assert "shop.handle" in caplog.text


async def test_an_attempt_that_is_not_due_is_not_run() -> None:
    handler = Handler([ValueError()])
    setup = Setup(route(handler, retry=THRICE))
    owed = await setup.handle(delivery(), None)
    setup.clock.now = 109.0
    assert await setup.handle(delivery(), owed) == owed
    assert handler.attempts == [1]


async def test_a_handler_that_uses_its_attempts_up_halts_with_its_error() -> None:
    error = ValueError("no stock")
    setup = Setup(route(Handler([error])))
    with pytest.raises(EventHalted, match=r"shop\.handle.*orders\[0\]/42.*no stock") as halted:
        await setup.handle(delivery(), None)
    assert halted.value.__cause__ is error


async def test_a_handler_that_uses_its_attempts_up_drops_when_told_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup(route(Handler([ValueError("no stock")]), dead_letter="drop"))
    assert await setup.handle(delivery(), None) is None
    assert setup.outcomes == Outcomes(dropped=1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "no stock" in caplog.text


async def test_only_the_handler_that_failed_runs_again() -> None:
    good, bad, worse = Handler(), Handler([ValueError()]), Handler([ValueError(), ValueError()])
    slow = RetryPolicy(attempts=3, delay=20.0, factor=1.0, jitter=False)
    setup = Setup(route(good), route(bad, retry=THRICE), route(worse, event=None, retry=slow))
    owed = await setup.handle(delivery(), None)
    setup.clock.now = 110.0
    owed = await setup.handle(delivery(), owed)
    assert (good.attempts, bad.attempts, worse.attempts) == ([1], [1, 2], [1])
    setup.clock.now = 120.0
    owed = await setup.handle(delivery(), owed)
    setup.clock.now = 140.0
    assert await setup.handle(delivery(), owed) is None
    assert (good.attempts, bad.attempts, worse.attempts) == ([1], [1, 2], [1, 2, 3])
    assert setup.outcomes == Outcomes(handled=3, retried=3)


@pytest.mark.parametrize(
    ("value", "error"), [(b"\xff\x00", DecodeError), (b'{"number": "x"}', BodyInvalid)]
)
@pytest.mark.parametrize("policy", ["halt", "drop"])
async def test_a_body_that_cannot_be_had_is_never_retried(
    value: bytes, error: type[Exception], policy: FailurePolicy
) -> None:
    handler = Handler()
    setup = Setup(route(handler, retry=THRICE, dead_letter=policy))
    if policy == "drop":
        assert await setup.handle(delivery(value), None) is None
        assert setup.outcomes == Outcomes(dropped=1)
    else:
        with pytest.raises(EventHalted) as halted:
            await setup.handle(delivery(value), None)
        assert isinstance(halted.value.__cause__, error)
    assert handler.events == []


@pytest.mark.parametrize("policy", ["halt", "drop"])
async def test_an_unreadable_envelope_follows_the_listener_s_policy(
    policy: FailurePolicy,
) -> None:
    setup = Setup(route(Handler()), unreadable=policy)
    broken = delivery()
    broken.headers = [("ce_specversion", b"1.0")]
    if policy == "drop":
        assert await setup.handle(broken, None) is None
        assert setup.outcomes == Outcomes(dropped=1)
    else:
        with pytest.raises(EventHalted, match="lacks the attribute 'ce_id'"):
            await setup.handle(broken, None)


async def test_an_event_that_nobody_takes_is_passed_over_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup(route(Handler()))
    for _ in range(3):
        assert await setup.handle(delivery(event_type="shipped"), None) is None
    assert setup.outcomes == Outcomes(unhandled=3)
    assert caplog.text.count("'shipped'") == 1


async def test_a_handler_that_runs_too_long_is_cancelled_and_owed_another_attempt() -> None:
    cancelled: list[int] = []

    async def hang(event: Event[Any]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(event.attempt)
            raise

    setup = Setup(route(hang, retry=THRICE, timeout=0.01))
    owed = await setup.handle(delivery(), None)
    assert owed is not None
    assert owed[0].number == 2
    assert cancelled == [1]


async def test_the_error_of_a_timeout_names_the_handler_and_the_limit() -> None:
    async def hang(event: Event[Any]) -> None:
        await asyncio.Event().wait()

    setup = Setup(route(hang, timeout=0.01))
    with pytest.raises(EventHalted) as halted:
        await setup.handle(delivery(), None)
    assert isinstance(halted.value.__cause__, HandlerTimeout)
    assert "shop.handle ran longer than its timeout of 0.01 s" in str(halted.value)


async def test_a_timeout_of_the_handler_s_own_is_its_own_failure() -> None:
    error = TimeoutError("the database")
    setup = Setup(route(Handler([error]), timeout=5))
    with pytest.raises(EventHalted) as halted:
        await setup.handle(delivery(), None)
    assert halted.value.__cause__ is error


async def test_a_cancellation_that_escapes_from_a_handler_is_a_failure() -> None:
    setup = Setup(route(Handler([asyncio.CancelledError()]), retry=THRICE))
    owed = await setup.handle(delivery(), None)
    assert owed is not None
    assert isinstance(owed[0], Attempt)


async def test_a_cancellation_from_outside_is_no_outcome() -> None:
    started = asyncio.Event()

    async def hang(event: Event[Any]) -> None:
        started.set()
        await asyncio.Event().wait()

    setup = Setup(route(hang, retry=THRICE))
    task = asyncio.create_task(setup.handle(delivery(), None))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert setup.outcomes == Outcomes()


async def test_each_handler_gets_a_body_of_its_own() -> None:
    first, second = Handler(), Handler()
    setup = Setup(route(first), route(second))
    await setup.handle(delivery(), None)
    assert first.events[0].body == second.events[0].body
    assert first.events[0].body is not second.events[0].body
