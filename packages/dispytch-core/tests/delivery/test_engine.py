"""The engine on a consumer that is driven by hand."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest

from dispytch.clock import Clock
from dispytch.delivery import Engine
from dispytch.delivery.attempt import Attempt
from dispytch.delivery.engine import Handle
from dispytch.delivery.lanes import Lanes, Ordering
from dispytch.exceptions import EventHalted, TransportError
from dispytch.gates import Gate as LimitGate
from dispytch.gates import Waiting
from dispytch.messages import Delivery, Lease
from dispytch.transport import Consumer


class FakeConsumer(Consumer):
    """A consumer whose stream is filled by hand, and that remembers what was settled."""

    def __init__(self) -> None:
        self.lease = Lease("orders", "orders[0]")
        self.acked: list[Delivery] = []
        self.failure: Exception | None = None
        self.events: list[str] = []
        self._next = 0
        self._waiting: list[Delivery] = []
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._stopped = False

    def give(self, *keys: bytes | None, lease: Lease | None = None) -> Sequence[Delivery]:
        deliveries = [self._made(key, lease or self.lease) for key in keys]
        self._waiting += deliveries
        self._news.set()
        return deliveries

    @property
    def leases(self) -> Collection[Lease]:
        return [self.lease]

    async def lag(self) -> Mapping[str, int]:
        return {self.lease.stream: len(self._waiting)}

    def fail(self, error: Exception) -> None:
        self.failure = error
        self._news.set()

    async def acknowledged(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.acked) < count:
                self._settled.clear()
                await self._settled.wait()

    async def receive(self) -> Sequence[Delivery]:
        while not (self._waiting or self._stopped or self.failure):
            self._news.clear()
            await self._news.wait()
        if self.failure:
            raise self.failure
        batch, self._waiting = self._waiting, []
        return [] if self._stopped else batch

    def ack(self, delivery: Delivery) -> None:
        self.acked.append(delivery)
        self._settled.set()

    def nack(self, delivery: Delivery) -> None:
        raise AssertionError("the engine gives nothing back")

    async def flush(self) -> None:
        self.events.append(f"flush after {len(self.acked)}")

    def pause(self, lease: Lease) -> None:
        raise AssertionError("the engine pauses nothing")

    def resume(self, lease: Lease) -> None:
        raise AssertionError("the engine resumes nothing")

    def stop_receiving(self) -> None:
        self.events.append("stop_receiving")
        self._stopped = True
        self._news.set()

    def _made(self, key: bytes | None, lease: Lease) -> Delivery:
        self._next += 1
        return Delivery("orders", b"{}", key, (), lease=lease, position=self._next)


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


def positions(deliveries: Iterable[Delivery]) -> list[int]:
    return [delivery.position for delivery in deliveries]


@asynccontextmanager
async def running(
    handle: Handle,
    consumer: FakeConsumer,
    *,
    ordering: Ordering = "key",
    concurrency: int = 8,
    drain_timeout: float = 5.0,
    fill_gaps: bool = False,
) -> AsyncIterator[Engine]:
    engine = Engine(
        handle,
        lanes=Lanes(ordering, fill_gaps=fill_gaps),
        concurrency=concurrency,
        drain_timeout=drain_timeout,
    )
    run = asyncio.create_task(engine.run(consumer))
    try:
        yield engine
    finally:
        engine.stop()
        async with asyncio.timeout(10):
            await run


class Shut(LimitGate):
    """A limit that lets nothing through."""

    def is_open(self, now: float) -> bool:
        return False

    def take(self, now: float) -> None: ...

    def put_back(self, now: float) -> None: ...


class Gate:
    """A handler that waits to be let through, and knows who is inside."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside: list[Delivery] = []
        self.finished: list[Delivery] = []
        self.most = 0
        self._change = asyncio.Condition()

    async def __call__(self, delivery: Delivery, owed: Sequence[Attempt] | None) -> None:
        async with self._change:
            self.inside.append(delivery)
            self.most = max(self.most, len(self.inside))
            self._change.notify_all()
        try:
            await self.open.wait()
            self.finished.append(delivery)
        finally:
            self.inside.remove(delivery)

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(5), self._change:
            await self._change.wait_for(lambda: len(self.inside) >= count)


async def test_every_event_is_handled_once_in_order_per_key_and_then_settled(
    consumer: FakeConsumer,
) -> None:
    seen: dict[bytes | None, list[int]] = defaultdict(list)
    running_keys: set[bytes | None] = set()

    async def handle(delivery: Delivery, owed: Sequence[Attempt] | None) -> None:
        assert delivery.key not in running_keys, "two events of one key at once"
        running_keys.add(delivery.key)
        for _ in range(delivery.position % 4):
            await asyncio.sleep(0)
        running_keys.remove(delivery.key)
        seen[delivery.key].append(delivery.position)

    async with running(handle, consumer):
        for _ in range(20):
            consumer.give(*(b"%d" % (n % 13) for n in range(100)))
            await asyncio.sleep(0)
        await consumer.acknowledged(2000)
    assert sorted(p for positions in seen.values() for p in positions) == list(range(1, 2001))
    assert all(positions == sorted(positions) for positions in seen.values())
    assert len({delivery.position for delivery in consumer.acked}) == 2000


async def test_no_more_events_run_at_once_than_the_concurrency(consumer: FakeConsumer) -> None:
    gate = Gate()
    async with running(gate, consumer, concurrency=3):
        consumer.give(*(b"%d" % n for n in range(10)))
        await gate.holds(3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert gate.most == 3
        gate.open.set()
        await consumer.acknowledged(10)


async def test_a_stuck_key_holds_up_nothing_but_itself(consumer: FakeConsumer) -> None:
    gate = Gate()

    async def handle(delivery: Delivery, owed: Sequence[Attempt] | None) -> None:
        if delivery.key == b"stuck":
            await gate(delivery, owed)

    async with running(handle, consumer, concurrency=2):
        consumer.give(b"stuck", *(b"%d" % n for n in range(500)), b"stuck")
        await consumer.acknowledged(500)
        assert [delivery.position for delivery in gate.inside] == [1]
        gate.open.set()
        await consumer.acknowledged(502)


async def test_an_event_is_not_settled_before_it_has_been_handled(consumer: FakeConsumer) -> None:
    gate = Gate()
    async with running(gate, consumer):
        consumer.give(b"a")
        await gate.holds(1)
        assert consumer.acked == []
        gate.open.set()
        await consumer.acknowledged(1)


async def test_an_owed_attempt_comes_when_due_and_holds_up_its_key_alone(
    consumer: FakeConsumer,
) -> None:
    loop = asyncio.get_running_loop()
    runs: list[tuple[bytes | None, float]] = []
    due = loop.time() + 0.05

    async def handle(
        delivery: Delivery, owed: Sequence[Attempt] | None
    ) -> Sequence[Attempt] | None:
        runs.append((delivery.key, loop.time()))
        if delivery.position == 1 and owed is None:
            return [Attempt(None, 2, 1, 0.0, 0.0, due)]  # type: ignore[arg-type]
        return None

    async with running(handle, consumer, concurrency=1):
        consumer.give(b"a", b"a", b"b")
        await consumer.acknowledged(3)
    assert [key for key, _ in runs] == [b"a", b"b", b"a", b"a"]
    assert runs[2][1] >= due
    assert [delivery.position for delivery in consumer.acked] == [3, 1, 2]


async def test_a_context_variable_set_by_one_event_never_reaches_another(
    consumer: FakeConsumer,
) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    seen: list[str] = []

    async def handle(delivery: Delivery, owed: Sequence[Attempt] | None) -> None:
        seen.append(tenant.get())
        if delivery.position % 2:
            tenant.set("somebody")
        await asyncio.sleep(0)

    async with running(handle, consumer, concurrency=2):
        consumer.give(*(b"%d" % n for n in range(50)))
        await consumer.acknowledged(50)
    assert seen == ["nobody"] * 50


async def test_handlers_that_never_wait_let_the_event_loop_breathe(
    consumer: FakeConsumer,
) -> None:
    async def handle(delivery: Delivery, owed: Sequence[Attempt] | None) -> None:
        sum(range(2000))

    beats_while_busy: list[int] = []

    async def beat() -> None:
        while len(consumer.acked) < 5000:
            beats_while_busy.append(len(consumer.acked))
            await asyncio.sleep(0)

    async with running(handle, consumer):
        consumer.give(*(b"%d" % n for n in range(5000)))
        await asyncio.wait_for(beat(), 10)
    assert len(set(beats_while_busy)) > 5


async def test_stopping_lets_what_runs_finish_and_leaves_the_rest(
    consumer: FakeConsumer,
) -> None:
    gate = Gate()
    async with running(gate, consumer, concurrency=2) as engine:
        consumer.give(b"a", b"b", b"c", b"a")
        await gate.holds(2)
        engine.stop()
        await asyncio.sleep(0)
        gate.open.set()
    assert sorted(positions(consumer.acked)) == [1, 2]
    assert consumer.events == ["stop_receiving", "flush after 2"]


async def test_with_gaps_to_fill_a_stop_leaves_no_hole_before_what_is_done(
    consumer: FakeConsumer,
) -> None:
    gate = Gate()
    async with running(gate, consumer, concurrency=2, fill_gaps=True) as engine:
        consumer.give(b"a", b"a", b"b", b"c")
        await gate.holds(2)
        engine.stop()
        await asyncio.sleep(0)
        gate.open.set()
    assert sorted(positions(consumer.acked)) == [1, 2, 3], "a's second lies before b's first"


async def test_what_still_runs_after_the_drain_timeout_is_cancelled_and_not_settled(
    consumer: FakeConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    async with running(gate, consumer, drain_timeout=0.05):
        consumer.give(b"a", b"b")
        await gate.holds(2)
    assert consumer.acked == []
    assert gate.inside == []
    assert caplog.text.count("left to the broker") == 2


async def test_cutting_short_does_not_wait_for_the_drain_timeout(consumer: FakeConsumer) -> None:
    gate = Gate()
    async with asyncio.timeout(2), running(gate, consumer, drain_timeout=60) as engine:
        consumer.give(b"a", b"b")
        await gate.holds(2)
        engine.stop()
        await asyncio.sleep(0)
        engine.cut_short()
    assert consumer.acked == []


async def test_a_revoked_stream_finishes_what_runs_and_forgets_the_rest(
    consumer: FakeConsumer,
) -> None:
    gate, other = Gate(), Lease("orders", "orders[1]")
    async with running(gate, consumer, concurrency=2) as engine:
        mine = consumer.give(b"a", b"a", b"b", b"c")
        await gate.holds(2)
        theirs = consumer.give(b"a", b"z", lease=other)
        revoked = asyncio.create_task(engine.revoke([consumer.lease]))
        await asyncio.sleep(0)
        assert not revoked.done(), "handlers of the stream are still running"
        gate.open.set()
        await asyncio.wait_for(revoked, 5)
        await consumer.acknowledged(4)
    assert sorted(positions(consumer.acked)) == sorted(
        [mine[0].position, mine[2].position, *positions(theirs)]
    )


async def test_a_revoked_stream_is_given_up_at_the_deadline_and_others_go_on(
    consumer: FakeConsumer,
) -> None:
    gate = Gate()

    async def handle(delivery: Delivery, owed: Sequence[Attempt] | None) -> None:
        if delivery.lease is consumer.lease:
            await gate(delivery, owed)

    async with running(handle, consumer, concurrency=1, drain_timeout=0.05) as engine:
        consumer.give(b"a")
        await gate.holds(1)
        await asyncio.wait_for(engine.revoke([consumer.lease]), 5)
        assert gate.inside == []
        consumer.give(b"a", lease=Lease("orders", "orders[1]"))
        await consumer.acknowledged(1)


async def test_a_halted_event_ends_the_engine_unsettled(consumer: FakeConsumer) -> None:
    async def handle(delivery: Delivery, owed: Sequence[Attempt] | None) -> None:
        if delivery.key == b"bad":
            raise EventHalted("no way on")

    engine = Engine(handle, lanes=Lanes("key"), concurrency=1, drain_timeout=1)
    consumer.give(b"good", b"bad", b"bad", b"good")
    with pytest.raises(EventHalted, match="no way on"):
        await asyncio.wait_for(engine.run(consumer), 5)
    assert [delivery.key for delivery in consumer.acked] == [b"good"]
    assert consumer.events == ["stop_receiving", "flush after 1"]


async def test_an_intake_that_dies_ends_the_engine_with_its_error(
    consumer: FakeConsumer,
) -> None:
    gate = Gate()
    engine = Engine(gate, lanes=Lanes("key"), concurrency=1, drain_timeout=5)
    run = asyncio.create_task(engine.run(consumer))
    consumer.give(b"a")
    await gate.holds(1)
    consumer.fail(TransportError("access was revoked"))
    await asyncio.sleep(0)
    gate.open.set()
    with pytest.raises(TransportError, match="access was revoked"):
        await asyncio.wait_for(run, 5)
    assert len(consumer.acked) == 1, "what was running has been drained and settled"


async def test_cancelling_the_run_drains_too(consumer: FakeConsumer) -> None:
    gate = Gate()
    engine = Engine(gate, lanes=Lanes("key"), concurrency=1, drain_timeout=5)
    run = asyncio.create_task(engine.run(consumer))
    consumer.give(b"a")
    await gate.holds(1)
    run.cancel()
    await asyncio.sleep(0)
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 5)
    assert consumer.events == ["stop_receiving", "flush after 1"]


async def test_a_thousand_parked_wakeups_leave_nothing_behind(consumer: FakeConsumer) -> None:
    async def handle(delivery: Delivery, owed: Sequence[Attempt] | None) -> None:
        await asyncio.sleep(0)

    async with running(handle, consumer, concurrency=4) as engine:
        for count in range(1, 1001):
            consumer.give(b"a")
            await consumer.acknowledged(count)
        assert len(engine._pool._parked) <= 4


@pytest.mark.parametrize("end", ["revoked", "stopped", "halted", "lost while it ran"])
@pytest.mark.parametrize("due", [0.0, 3600.0], ids=["ready again", "waiting"])
async def test_what_never_comes_back_keeps_no_place_of_a_limit(
    consumer: FakeConsumer, end: str, due: float
) -> None:
    loop, gate, handed_back = asyncio.get_running_loop(), Gate(), asyncio.Event()
    claim, behind, shut = Waiting(Clock.of_loop()), Waiting(Clock.of_loop()), Shut()
    freed = claim.wait("limit", [shut], loop.time)
    revoking: list[asyncio.Task[None]] = []
    behind.wait("limit", [shut], loop.time)
    assert shut.place(behind) == 1

    async def handle(
        delivery: Delivery, owed: Sequence[Attempt] | None
    ) -> Sequence[Attempt] | None:
        if delivery.key != b"limited":
            await gate(delivery, owed)
            return None
        if end == "lost while it ran":
            revoking.append(asyncio.create_task(engine.revoke([consumer.lease])))
            await asyncio.sleep(0)
        elif end == "halted":
            loop.call_soon(engine.cut_short)
        handed_back.set()
        return [Attempt(None, 1, 0, 0.0, 0.0, loop.time() + due, freed, claim)]  # type: ignore[arg-type]

    async with running(handle, consumer, concurrency=1, drain_timeout=0.05) as engine:
        consumer.give(b"limited", b"other")
        await handed_back.wait()
        if end == "revoked":
            await engine.revoke([consumer.lease])
        elif end == "stopped":
            engine.stop()
        async with asyncio.timeout(5):
            while shut.place(behind):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
    await asyncio.gather(*revoking)
