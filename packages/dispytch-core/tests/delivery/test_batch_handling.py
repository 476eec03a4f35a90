"""From the deliveries of a batch to the outcome of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from dispytch.batch import Batch, alone
from dispytch.clock import Clock
from dispytch.dead_letters import DeadLetterTopic, FailurePolicy
from dispytch.delivery import (
    Admission,
    Aftermath,
    BatchHandling,
    Broker,
    Lookups,
    Outcomes,
    Partings,
)
from dispytch.delivery.attempt import Attempt, Parting
from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import (
    BatchFailed,
    BrokerUnreachable,
    EventHalted,
    Postpone,
    RegistryUnavailable,
    RetryAfter,
    SchemaRefused,
    SendError,
    TransportError,
)
from dispytch.messages import Delivery, Lease, Message
from dispytch.retry import RetryPolicy
from dispytch.routing import Batching, Route, Router
from dispytch.serialization import Bodies, CloudEvents, Codecs, Unresolved
from dispytch.transport import Producer

LEASE = Lease("orders", "orders[0]")


class Order(BaseModel):
    number: int


class FakeProducer(Producer):
    def __init__(self) -> None:
        self.sent: list[list[tuple[Message, float | None]]] = []
        self.refusals: list[TransportError] = []

    async def send(self, messages: Sequence[Message], *, delay: float | None = None) -> None:
        self.sent.append([(message, delay) for message in messages])
        if self.refusals:
            raise self.refusals.pop(0)


@dataclass
class Handler:
    """Fails for the numbers it is told to; remembers what it was given."""

    failures: dict[int, Exception] = field(default_factory=dict)
    batches: list[list[int]] = field(default_factory=list)

    async def __call__(self, events: list[Event[Any]]) -> None:
        numbers = [event.body.number for event in events]
        self.batches.append(numbers)
        failed = {
            index: self.failures[number]
            for index, number in enumerate(numbers)
            if number in self.failures
        }
        if failed:
            raise BatchFailed(failed)


class Setup:
    def __init__(
        self,
        handler: Handler,
        *,
        retry: RetryPolicy | None = None,
        dead_letter: FailurePolicy = DeadLetterTopic(),  # noqa: B008
        broker: Broker | None = None,
        decode: Callable[[Envelope], Any] | None = None,
        wait: float = 0.5,
    ) -> None:
        self.now = 100.0
        self.passing = 0.0
        clock = replace(Clock.of_loop(), time=self.time)
        self.outcomes = Outcomes()
        self.producer = FakeProducer()
        self.settled: list[int] = []
        route = Route(
            name="shop.handle",
            topic="orders",
            event="placed",
            decode=decode or Bodies(Codecs(), Order, TypeAdapter(Order)).decode,
            run=alone(handler),
            retry=retry or RetryPolicy(),
            dead_letter=dead_letter,
            timeout=None,
            batching=Batching(Batch(10, wait), handler),
        )
        self.handling = BatchHandling(
            admission=Admission(
                read=CloudEvents().reader(["ce_"]),
                router=Router([route]),
                lookups=Lookups(),
                clock=clock,
            ),
            retry_topic="billing.retry",
            unreadable=dead_letter,
            unhandled="ignore",
            aftermath=Aftermath(
                group="billing", broker=broker or Broker(), outcomes=self.outcomes, clock=clock
            ),
            partings=Partings(self.producer, self.outcomes, clock),
            outcomes=self.outcomes,
            clock=clock,
        )

    def time(self) -> float:
        self.now += self.passing
        return self.now

    async def run(self, taken: Any) -> dict[Delivery, Any]:
        left = await self.handling.handle_batch(
            taken, lambda one: self.settled.append(one.position)
        )
        return dict(left)

    async def first(self, *numbers: int) -> dict[Delivery, Any]:
        return await self.run(dict.fromkeys(map(order, numbers)))


def order(number: int) -> Delivery:
    headers = [("type", b"placed")]
    return Delivery(
        "orders", b'{"number": %d}' % number, b"k", headers, lease=LEASE, position=number
    )


async def test_those_that_failed_together_are_due_together() -> None:
    handler = Handler({n: LookupError() for n in (1, 2, 3, 4)} | {5: RetryAfter(1)})
    setup = Setup(handler, retry=RetryPolicy(attempts=2, delay=60))
    left = await setup.first(0, 1, 2, 3, 4, 5)
    assert setup.settled == [0]
    dues = [owed[0].due for owed in left.values()]
    assert len(set(dues[:4])) == 1, "however their delays were drawn"
    assert dues[4] == 101.0
    setup.now = 101.0
    handler.failures.clear()
    left = await setup.run(left)
    assert handler.batches[1:] == [[5]]
    setup.now = dues[0]
    assert await setup.run(left) == {}
    assert handler.batches[2:] == [[1, 2, 3, 4]]
    assert sorted(setup.settled) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("decision", [RetryAfter, Postpone])
async def test_what_is_told_to_wait_equally_long_comes_back_together(decision: Any) -> None:
    handler = Handler({1: decision(5), 2: decision(5), 3: decision(9)})
    setup = Setup(handler, retry=RetryPolicy(attempts=2))
    setup.passing = 0.001
    left = await setup.first(1, 2, 3)
    dues = [owed[0].due for owed in left.values()]
    assert dues[0] == dues[1]
    assert dues[2] - dues[1] > 3
    setup.now = dues[0]
    handler.failures.clear()
    await setup.run(left)
    assert handler.batches[1:] == [[1, 2]]


async def test_dead_letters_of_a_batch_are_sent_together_and_settled_when_confirmed() -> None:
    setup = Setup(Handler({1: LookupError("one"), 2: LookupError("two")}))
    setup.producer.refusals = [SendError({1: BrokerUnreachable("away")}, 2)]
    left = await setup.first(1, 2, 3)
    assert [len(batch) for batch in setup.producer.sent] == [2]
    assert setup.settled == [3, 1]
    [(failed, [parting])] = left.items()
    assert failed.position == 2
    assert isinstance(parting, Parting)
    assert await setup.run(left) == left, "it is not due yet"
    setup.now = parting.due
    assert await setup.run(left) == {}
    assert setup.settled == [3, 1, 2]
    assert (setup.outcomes.dead_lettered, setup.outcomes.unsent) == (2, 1)


async def test_a_broker_that_does_not_answer_leaves_all_unsettled_that_need_it() -> None:
    setup = Setup(Handler({1: LookupError(), 2: LookupError()}))
    setup.producer.refusals = [BrokerUnreachable("gone")]
    assert [one.position for one in await setup.first(1, 2, 3)] == [1, 2]
    assert setup.settled == [3]


async def test_delayed_attempts_go_to_the_broker_with_a_delay_each() -> None:
    policy = RetryPolicy(attempts=2, delay=60, delayed=True)
    handler = Handler({n: LookupError() for n in range(3)})
    setup = Setup(handler, retry=policy, broker=Broker(delay=True))
    assert await setup.first(0, 1, 2) == {}
    assert sorted(setup.settled) == [0, 1, 2]
    delays = [delay for batch in setup.producer.sent for _, delay in batch]
    assert len(delays) == 3
    assert all(delay is not None and 0 <= delay <= 60 for delay in delays)
    assert setup.outcomes.delayed == 3


async def test_the_wait_for_a_batch_counts_for_the_broker_s_limit() -> None:
    """A retry that would end beyond what the broker lends an event for goes through it."""
    for wait, delayed in ((0.0, 0), (50.0, 1)):
        broker = Broker(delay=True, hold_limit=100)
        policy = RetryPolicy(attempts=2, delay=60, max_delay=60, jitter=False)
        setup = Setup(Handler({1: LookupError()}), retry=policy, broker=broker, wait=wait)
        await setup.first(1)
        assert (setup.outcomes.delayed, setup.outcomes.retried) == (delayed, 1 - delayed)


async def test_an_event_that_halts_leaves_itself_and_settles_what_is_done() -> None:
    setup = Setup(Handler({2: LookupError()}), dead_letter="halt")
    with pytest.raises(EventHalted):
        await setup.first(1, 2, 3)
    assert setup.settled == [1, 3]


async def test_nothing_overtakes_an_event_whose_schema_nobody_tells() -> None:
    known, silent = False, True
    plain = Bodies(Codecs(), Order, TypeAdapter(Order)).decode

    async def ask() -> None:
        nonlocal known
        if silent:
            raise RegistryUnavailable("down", seconds=5)
        known = True

    def decode(envelope: Envelope) -> Any:
        if not known and b"2" in envelope.data:
            raise Unresolved(ask)
        return plain(envelope)

    handler = Handler()
    setup = Setup(handler, decode=decode)
    left = await setup.first(1, 2, 3)
    assert handler.batches == [[1]]
    assert setup.settled == [1]
    [[attempt], untouched] = left.values()
    assert isinstance(attempt, Attempt)
    assert (attempt.due, untouched) == (105.0, None)
    setup.now, silent = 105.0, False
    assert await setup.run(left) == {}
    assert handler.batches == [[1], [2, 3]]


async def test_a_schema_that_there_is_not_is_the_failure_of_one_event() -> None:
    async def ask() -> None:
        raise SchemaRefused("no such schema")

    def decode(envelope: Envelope) -> Any:
        if b"2" in envelope.data:
            raise Unresolved(ask)
        return Order(number=1)

    setup = Setup(Handler(), decode=decode)
    assert await setup.first(1, 2) == {}
    assert (setup.outcomes.handled, setup.outcomes.dead_lettered) == (1, 1)
