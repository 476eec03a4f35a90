"""From a delivery to its outcome."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from dispytch.clock import Clock as SystemClock
from dispytch.dead_letters import DeadLetterTopic, Failure, FailurePolicy, Unhandled
from dispytch.delivery import (
    Admission,
    Aftermath,
    Broker,
    Handling,
    Lookups,
    Observer,
    Outcomes,
    Partings,
)
from dispytch.delivery.attempt import Attempt, Owed, Parting
from dispytch.events import Event
from dispytch.exceptions import (
    BodyInvalid,
    BrokerUnreachable,
    DecodeError,
    EventHalted,
    HandlerTimeout,
    MessageTooLarge,
    Postpone,
    Reject,
    RetryAfter,
    SendError,
    Skip,
    TransportError,
)
from dispytch.messages import Delivery, Lease, Message
from dispytch.middleware import Next, RateLimit, wrap
from dispytch.retry import RetryPolicy
from dispytch.routing import Route, Router
from dispytch.serialization import Bodies, CloudEvents, Codecs
from dispytch.transport import Producer

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
        decode=Bodies(Codecs(), Order, TypeAdapter(Order)).decode,
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


class FakeProducer(Producer):
    """Takes what it is given, unless it is told to refuse."""

    def __init__(self) -> None:
        self.sent: list[tuple[Message, float | None]] = []
        self.refusals: list[TransportError] = []

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        if self.refusals:
            raise SendError({0: self.refusals.pop(0)}, 1)
        self.sent += [(message, delay) for message in messages]

    @property
    def only(self) -> Message:
        ((message, _),) = self.sent
        return message

    @property
    def headers(self) -> dict[str, str]:
        return {name: value.decode() for name, value in self.only.headers}


class Setup:
    def __init__(
        self,
        *routes: Route,
        unreadable: FailurePolicy = "halt",
        unhandled: Unhandled = "ignore",
        broker: Broker | None = None,
        observer: Observer | None = None,
        **clock: Any,
    ) -> None:
        self.clock = Clock()
        system = replace(SystemClock.of_loop(), time=self.clock, **clock)
        self.outcomes = Outcomes()
        self.producer = FakeProducer()
        self.partings = Partings(self.producer, self.outcomes, system)
        self.aftermath = Aftermath(
            group="billing",
            broker=broker or Broker(),
            outcomes=self.outcomes,
            clock=system,
            observer=observer,
        )
        self.handle = Handling(
            admission=Admission(
                read=CloudEvents().reader(["ce_"]),
                router=Router(routes),
                lookups=Lookups(),
                clock=system,
            ),
            retry_topic="billing.retry",
            unreadable=unreadable,
            unhandled=unhandled,
            aftermath=self.aftermath,
            partings=self.partings,
            outcomes=self.outcomes,
            clock=system,
        ).handle


def attempts(owed: Sequence[Owed] | None) -> list[tuple[int, float]]:
    """The numbers of the attempts that are owed, and when they are due."""
    assert owed is not None
    return [(one.number, one.due) for one in owed if isinstance(one, Attempt)]


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
    assert attempts(owed) == [(2, 110.0)]
    setup.clock.now = 110.0
    owed = await setup.handle(one, owed)
    assert attempts(owed) == [(3, 120.0)]
    setup.clock.now = 125.0
    assert await setup.handle(one, owed) is None
    assert handler.attempts == [1, 2, 3]
    assert setup.outcomes == Outcomes(handled=1, retried=2)
    assert "failed, the next attempt follows in 10.00 s" in caplog.text
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
    assert [number for number, _ in attempts(owed)] == [2]
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


DEAD = DeadLetterTopic()


async def test_a_dead_letter_is_the_message_with_the_failure_told_in_its_headers() -> None:
    setup = Setup(route(Handler([ValueError("no stock")]), dead_letter=DEAD))
    assert await setup.handle(delivery(), None) is None
    letter, headers = setup.producer.only, setup.producer.headers
    assert (letter.topic, letter.value, letter.key) == (
        "orders.billing.dead",
        b'{"number": 7}',
        b"k",
    )
    assert headers["type"] == "placed"
    assert headers["dispytch-reason"] == "failed"
    assert headers["dispytch-group"] == "billing"
    assert headers["dispytch-handler"] == "shop.handle"
    assert headers["dispytch-attempts"] == "1"
    assert headers["dispytch-exception-type"] == "builtins.ValueError"
    assert headers["dispytch-exception-message"] == "no stock"
    assert "in __call__" in headers["dispytch-exception-traceback"]
    assert headers["dispytch-original-topic"] == "orders"
    assert headers["dispytch-original-stream"] == "orders[0]"
    assert headers["dispytch-original-position"] == "42"
    assert setup.outcomes == Outcomes(dead_lettered=1)


async def test_an_event_stays_owed_until_its_dead_letter_is_taken() -> None:
    setup = Setup(route(Handler([ValueError()]), dead_letter=DEAD))
    setup.producer.refusals = [BrokerUnreachable("away"), BrokerUnreachable("away")]
    one = delivery()
    owed = await setup.handle(one, None)
    assert owed is not None
    assert [(type(left), left.due) for left in owed] == [(Parting, 100.5)]
    assert "away" in str(setup.partings.trouble)
    setup.clock.now = 100.5
    owed = await setup.handle(one, owed)
    assert owed is not None
    assert owed[0].due == 101.5
    setup.clock.now = 102.0
    assert await setup.handle(one, owed) is None
    assert len(setup.producer.sent) == 1
    assert setup.partings.trouble is None
    assert setup.outcomes == Outcomes(dead_lettered=1, unsent=2)


@pytest.mark.parametrize(("refusals", "left"), [(0, 2), (1, 1), (2, 0)])
async def test_a_dead_letter_that_is_too_large_leaves_the_details_away_at_once(
    refusals: int, left: int
) -> None:
    setup = Setup(route(Handler([ValueError("x" * 900)]), dead_letter=DEAD))
    setup.producer.refusals = [MessageTooLarge("no")] * refusals
    assert await setup.handle(delivery(), None) is None
    details = ["dispytch-exception-message", "dispytch-exception-traceback"]
    assert [name for name in details if name in setup.producer.headers] == details[:left]
    assert setup.producer.only.value == delivery().value
    assert setup.producer.headers["dispytch-reason"] == "failed"


@pytest.mark.parametrize(
    ("value", "reason"), [(b"\xff\x00", "undecodable"), (b'{"number": "x"}', "invalid")]
)
async def test_a_body_that_cannot_be_had_is_a_dead_letter_at_once(
    value: bytes, reason: str
) -> None:
    setup = Setup(route(Handler(), retry=THRICE, dead_letter=DEAD))
    assert await setup.handle(delivery(value), None) is None
    assert setup.producer.headers["dispytch-reason"] == reason
    assert setup.producer.only.value == value


async def test_an_unreadable_envelope_is_a_dead_letter() -> None:
    setup = Setup(route(Handler()), unreadable=DEAD)
    broken = delivery()
    broken.headers = [("ce_specversion", b"1.0")]
    assert await setup.handle(broken, None) is None
    assert setup.producer.headers["dispytch-reason"] == "undecodable"
    assert "dispytch-handler" not in setup.producer.headers


async def test_an_event_that_nobody_takes_can_be_a_dead_letter() -> None:
    setup = Setup(route(Handler()), unhandled=DEAD)
    assert await setup.handle(delivery(event_type="shipped"), None) is None
    assert setup.producer.headers["dispytch-reason"] == "unhandled"
    assert setup.outcomes == Outcomes(unhandled=1, dead_lettered=1)


async def test_of_several_handlers_only_the_one_that_failed_is_given_up() -> None:
    good, bad = Handler(), Handler([ValueError()])
    setup = Setup(route(bad, name="bad", dead_letter=DEAD), route(good, name="good"))
    assert await setup.handle(delivery(), None) is None
    assert setup.producer.headers["dispytch-handler"] == "bad"
    assert setup.outcomes == Outcomes(handled=1, dead_lettered=1)


async def test_reject_gives_up_at_once_and_skip_is_done() -> None:
    setup = Setup(route(Handler([Reject("closed")]), retry=THRICE, dead_letter=DEAD))
    assert await setup.handle(delivery(), None) is None
    assert setup.producer.headers["dispytch-reason"] == "rejected"
    setup = Setup(route(Handler([Skip()]), retry=THRICE))
    assert await setup.handle(delivery(), None) is None
    assert setup.outcomes == Outcomes(skipped=1)


async def test_retry_after_waits_as_told_and_uses_up_no_attempt() -> None:
    handler = Handler([RetryAfter(3), RetryAfter(4), ValueError()])
    setup = Setup(route(handler, dead_letter=DEAD))
    one = delivery()
    owed = await setup.handle(one, None)
    assert attempts(owed) == [(2, 103.0)]
    setup.clock.now = 103.0
    owed = await setup.handle(one, owed)
    assert attempts(owed) == [(3, 107.0)]
    setup.clock.now = 107.0
    assert await setup.handle(one, owed) is None
    assert setup.producer.headers["dispytch-attempts"] == "3"


async def test_the_time_limit_ends_retry_after_too() -> None:
    policy = RetryPolicy(time_limit=2.0)
    setup = Setup(route(Handler([RetryAfter(3)]), retry=policy, dead_letter=DEAD))
    assert await setup.handle(delivery(), None) is None
    assert setup.outcomes.dead_lettered == 1


async def test_a_postponed_run_is_no_attempt_and_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = Handler([Postpone(50), ValueError(), Postpone(50)])
    policy = RetryPolicy(attempts=2, delay=1.0, jitter=False, time_limit=2.0)
    setup = Setup(route(handler, retry=policy))
    one = delivery()
    owed = await setup.handle(one, None)
    assert attempts(owed) == [(1, 150.0)]
    assert caplog.records == []
    assert setup.aftermath.last_error is None
    for number, now, due in ((1, 150.0, 151.0), (2, 151.0, 201.0)):
        setup.clock.now = now
        owed = await setup.handle(one, owed)
        assert attempts(owed) == [(2, due)], number
    setup.clock.now = 201.0
    assert await setup.handle(one, owed) is None
    assert handler.attempts == [1, 1, 2, 2]
    assert setup.outcomes == Outcomes(handled=1, retried=1, postponed=2)


async def test_a_run_that_is_postponed_beyond_the_hold_limit_goes_through_the_broker() -> None:
    handler = Handler([Postpone(10), Postpone(2000)])
    policy = RetryPolicy(delayed=True)
    setup = Setup(
        route(handler, retry=policy, dead_letter=DEAD), broker=Broker(delay=True, hold_limit=1500)
    )
    one = delivery()
    owed = await setup.handle(one, None)
    assert attempts(owed) == [(1, 110.0)], "in place, whatever the policy says of retries"
    setup.clock.now = 110.0
    assert await setup.handle(one, owed) is None
    ((message, delay),) = setup.producer.sent
    assert (message.topic, delay) == ("billing.retry", 2000.0)
    assert setup.producer.headers["dispytch-attempt"] == "1"
    assert setup.producer.headers["dispytch-failures"] == "0"


async def test_a_run_that_waits_for_its_turn_at_the_broker_is_back_early_and_with_its_rank() -> (
    None
):
    run = wrap(Handler(), [RateLimit(1, per=3600)])
    setup = Setup(route(run), broker=Broker(delay=True, hold_limit=1500))
    assert await setup.handle(delivery(), None) is None
    before = time.time() * 1000
    assert await setup.handle(delivery(), None) is None
    ((message, delay),) = setup.producer.sent
    assert message.topic == "billing.retry"
    assert delay == pytest.approx(3590, abs=1)
    since = int(setup.producer.headers["dispytch-waiting-since"])
    assert before - 1 <= since <= time.time() * 1000 + 1
    assert setup.producer.headers["dispytch-waiting-number"].isdigit()


DELAYED = RetryPolicy(attempts=3, delay=10.0, factor=1.0, jitter=False, delayed=True)


@pytest.mark.parametrize(("native", "delay"), [(True, 10.0), (False, None)])
async def test_a_delayed_attempt_goes_through_the_broker(native: bool, delay: float | None) -> None:
    handler = Handler([ValueError(), ValueError()])
    other = Handler()
    broker = Broker(delay=native)
    setup = Setup(
        route(handler, retry=DELAYED, dead_letter=DEAD), route(other, name="o"), broker=broker
    )
    before = time.time()
    assert await setup.handle(delivery(), None) is None
    ((message, given),) = setup.producer.sent
    assert (message.topic, message.key, given) == ("billing.retry", b"k", delay)
    due = int(setup.producer.headers["dispytch-due"]) / 1000
    assert before + 10 <= due <= time.time() + 10.1
    assert setup.outcomes == Outcomes(delayed=1, handled=1)

    back = Delivery(
        "billing.retry",
        message.value,
        message.key,
        message.headers,
        lease=Lease("billing.retry", "billing.retry[1]"),
        position=3,
    )
    owed = await setup.handle(back, None)
    assert handler.attempts == [1]
    ((number, when),) = attempts(owed)
    assert number == 2
    assert when - setup.clock.now == pytest.approx(10, abs=0.5)
    setup.producer.sent.clear()
    setup.clock.now = when
    assert await setup.handle(back, owed) is None
    assert handler.attempts == [1, 2]
    assert other.attempts == [1], "an attempt is only for the handler that failed"
    assert handler.events[1].topic == "orders"
    assert setup.producer.headers["dispytch-attempt"] == "3"
    assert setup.producer.headers["dispytch-original-stream"] == "orders[0]"


async def test_attempts_that_came_back_are_counted_and_end_in_a_dead_letter() -> None:
    setup = Setup(route(Handler([ValueError()]), retry=DELAYED, dead_letter=DEAD))
    back = delivery()
    back.topic, back.lease = "billing.retry", Lease("billing.retry", "billing.retry[1]")
    back.headers = [
        *back.headers,
        ("dispytch-original-topic", b"orders"),
        ("dispytch-handler", b"shop.handle"),
        ("dispytch-attempt", b"3"),
        ("dispytch-failures", b"2"),
    ]
    assert await setup.handle(back, None) is None
    assert setup.producer.only.topic == "orders.billing.dead"
    assert setup.producer.headers["dispytch-attempts"] == "3"
    assert "dispytch-attempt" not in setup.producer.headers


async def test_what_would_be_held_too_long_goes_through_the_broker_by_itself() -> None:
    handler = Handler([RetryAfter(10), RetryAfter(2000)])
    setup = Setup(route(handler), broker=Broker(delay=True, hold_limit=1500))
    one = delivery()
    owed = await setup.handle(one, None)
    assert attempts(owed) == [(2, 110.0)]
    setup.clock.now = 110.0
    assert await setup.handle(one, owed) is None
    assert setup.producer.only.topic == "billing.retry"


async def test_what_comes_back_for_a_handler_that_is_gone_is_given_up() -> None:
    setup = Setup(route(Handler()), unreadable=DEAD)
    back = delivery()
    back.topic, back.lease = "billing.retry", Lease("billing.retry", "billing.retry[1]")
    back.headers = [
        *back.headers,
        ("dispytch-original-topic", b"orders"),
        ("dispytch-handler", b"shop.renamed"),
    ]
    assert await setup.handle(back, None) is None
    assert setup.producer.headers["dispytch-reason"] == "unhandled"
    assert setup.producer.headers["dispytch-handler"] == "shop.renamed"


async def test_a_stranger_on_the_retry_topic_is_undecodable() -> None:
    setup = Setup(route(Handler()), unreadable=DEAD)
    stranger = delivery()
    stranger.topic, stranger.lease = "billing.retry", Lease("billing.retry", "billing.retry[1]")
    assert await setup.handle(stranger, None) is None
    assert setup.producer.headers["dispytch-reason"] == "undecodable"


class Watch:
    """Notes what an observer is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def failed(
        self, delivery: Delivery, attempt: Attempt, error: Exception, wait: float | None
    ) -> None:
        self.told.append((attempt.number, error, wait))

    def given_up(self, delivery: Delivery, failure: Failure, policy: FailurePolicy) -> None:
        self.told.append((failure, policy))


async def test_an_observer_is_told_of_every_failure_and_of_the_end() -> None:
    errors = [ValueError("first"), Reject("never")]
    watch = Watch()
    policy = DeadLetterTopic()
    setup = Setup(route(Handler([*errors]), retry=THRICE, dead_letter=policy), observer=watch)
    one = delivery()
    owed = await setup.handle(one, None)
    setup.clock.now += 10
    assert await setup.handle(one, owed) is None
    name = route(Handler()).name
    assert watch.told == [
        (1, errors[0], 10.0),
        (2, errors[1], None),
        (Failure("rejected", errors[1], name, 2, "orders"), policy),
    ]


async def test_an_observer_is_told_of_what_cannot_be_read() -> None:
    watch = Watch()
    setup = Setup(route(Handler(), dead_letter="drop"), observer=watch)
    assert await setup.handle(delivery(b"not JSON"), None) is None
    ((failure, policy),) = watch.told
    assert isinstance(failure, Failure)
    assert failure.reason == "undecodable"
    assert policy == "drop"


async def test_timeouts_go_by_the_clock() -> None:
    async def stuck(event: Event[Any]) -> None:
        await asyncio.Event().wait()

    asked: list[float] = []

    def at_once(seconds: float) -> asyncio.Timeout:
        asked.append(seconds)
        return asyncio.timeout(0)

    setup = Setup(route(stuck, timeout=3600, dead_letter="drop"), timeout=at_once)
    assert await setup.handle(delivery(), None) is None
    assert asked == [3600]
    assert setup.outcomes.dropped == 1


async def test_what_comes_back_through_the_broker_is_due_by_the_clock() -> None:
    setup = Setup(
        route(Handler([ValueError()]), retry=replace(THRICE, delayed=True)), wall=lambda: 5000.0
    )
    assert await setup.handle(delivery(), None) is None
    assert setup.producer.headers["dispytch-due"] == "5010000"
