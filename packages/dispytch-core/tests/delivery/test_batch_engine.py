"""The engine with batches, on a consumer that is driven by hand."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from dispytch.batch import Batch, By
from dispytch.clock import Clock
from dispytch.delivery import BatchEngine
from dispytch.delivery.attempt import Attempt, Owed
from dispytch.delivery.batch_lanes import Taken
from dispytch.events import Event
from dispytch.exceptions import EventHalted
from dispytch.messages import Delivery, Lease
from dispytch.routing import Batching
from dispytch.transport import Consumer


class HandDriven(Consumer):
    """A consumer that is filled by hand, and remembers what was settled."""

    def __init__(self) -> None:
        self.held = [Lease("orders", "orders[0]")]
        self.acked: list[int] = []
        self._count = 0
        self._queue: asyncio.Queue[Sequence[Delivery]] = asyncio.Queue()

    def give(self, *keys: bytes | None, lease: Lease | None = None) -> Sequence[Delivery]:
        given: list[Delivery] = []
        for key in keys:
            self._count += 1
            held = lease or self.held[0]
            given.append(Delivery("orders", b"", key, (), lease=held, position=self._count))
        self._queue.put_nowait(given)
        return given

    @property
    def leases(self) -> Collection[Lease]:
        return self.held

    async def receive(self) -> Sequence[Delivery]:
        return await self._queue.get()

    def ack(self, delivery: Delivery) -> None:
        assert delivery.position not in self.acked, "settled twice"
        self.acked.append(delivery.position)

    def stop_receiving(self) -> None:
        self._queue.put_nowait([])

    async def lag(self) -> Mapping[str, int]:
        return {}

    async def flush(self) -> None: ...
    def nack(self, delivery: Delivery) -> None: ...
    def pause(self, lease: Lease) -> None: ...
    def resume(self, lease: Lease) -> None: ...


async def run(events: list[Event[Any]]) -> None: ...


class Gate:
    """A batch handler that waits to be let through; it settles what it was given at its end."""

    def __init__(self, batch: Batch) -> None:
        self._batching = Batching(batch, run)
        self.open = asyncio.Event()
        self.entered: list[list[int]] = []
        self.left: Callable[[Delivery], Sequence[Owed]] = lambda delivery: ()

    def batching_of(self, delivery: Delivery, /) -> Batching | None:
        return self._batching

    async def handle(self, delivery: Delivery, owed: Any, /) -> None:
        raise AssertionError("every event is one of a batch")

    async def handle_batch(self, taken: Taken, settle: Callable[[Delivery], None], /) -> Taken:
        self.entered.append([one.position for one in taken])
        await self.open.wait()
        left = {one: owed for one in taken if (owed := self.left(one))}
        for one in taken:
            if one not in left:
                settle(one)
        return left

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.entered) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


@pytest.fixture
def consumer() -> HandDriven:
    return HandDriven()


@asynccontextmanager
async def running(
    gate: Gate,
    consumer: HandDriven,
    *,
    fill_gaps: bool = False,
    drain: float = 5.0,
    window: int = 64,
    clock: Clock | None = None,
) -> AsyncIterator[BatchEngine]:
    engine = BatchEngine(
        gate,
        window=window,
        ordering="key",
        concurrency=4,
        drain_timeout=drain,
        fill_gaps=fill_gaps,
        clock=clock,
    )
    life = asyncio.create_task(engine.run(consumer))
    try:
        yield engine
    finally:
        engine.stop()
        async with asyncio.timeout(10):
            await life


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_nothing_of_a_batch_is_settled_before_its_outcome(consumer: HandDriven) -> None:
    gate = Gate(Batch(2, wait=60))
    async with running(gate, consumer) as engine:
        consumer.give(b"a", b"b", b"c")
        await gate.holds(1)
        assert (gate.entered, consumer.acked, engine.in_flight) == ([[1, 2]], [], 3)
        gate.open.set()
        await until(lambda: len(consumer.acked) == 2)
        assert engine.in_flight == 1


@pytest.mark.parametrize("by", ["topic", "key"])
async def test_a_stop_waits_for_the_batch_that_runs_and_leaves_the_one_that_fills(
    consumer: HandDriven, by: By
) -> None:
    gate = Gate(Batch(2, wait=60, by=by))
    async with running(gate, consumer) as engine:
        consumer.give(b"a", b"a", b"a")
        await gate.holds(1)
        engine.stop()
        await asyncio.sleep(0)
        gate.open.set()
    assert consumer.acked == [1, 2]
    assert gate.entered == [[1, 2]]


async def test_a_stop_runs_what_fills_before_an_event_that_has_started(
    consumer: HandDriven,
) -> None:
    gate = Gate(Batch(2, wait=60, by="key"))
    async with running(gate, consumer, fill_gaps=True) as engine:
        consumer.give(b"a", b"b", b"b", b"c")
        await gate.holds(1)
        assert gate.entered == [[2, 3]]
        engine.stop()
        await gate.holds(2)
        assert gate.entered == [[2, 3], [1]]
        gate.open.set()
    assert sorted(consumer.acked) == [1, 2, 3]


async def test_a_batch_that_still_runs_after_the_drain_timeout_is_left_to_the_broker(
    consumer: HandDriven, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(Batch(2))
    async with running(gate, consumer, drain=0.05):
        consumer.give(b"a", b"b")
        await gate.holds(1)
    assert consumer.acked == []
    assert "left to the broker" in caplog.text


async def test_a_revoked_stream_finishes_its_batch_and_forgets_the_rest(
    consumer: HandDriven,
) -> None:
    gate, other = Gate(Batch(2, wait=0.1)), Lease("orders", "orders[1]")
    consumer.held.append(other)
    async with running(gate, consumer) as engine:
        consumer.give(b"a", b"a", b"a")
        consumer.give(b"z", lease=other)
        await gate.holds(1)
        revoked = asyncio.create_task(engine.revoke(consumer.held[:1]))
        await asyncio.sleep(0)
        assert not revoked.done(), "a batch of the stream is still running"
        gate.open.set()
        await asyncio.wait_for(revoked, 5)
        assert engine.in_flight <= 1
        await until(lambda: len(consumer.acked) == 3)
        await asyncio.sleep(0.15)
    assert sorted(consumer.acked) == [1, 2, 4], "3 is another member's"
    assert [3] not in gate.entered


async def test_what_is_owed_to_some_of_a_batch_holds_up_the_next_one(consumer: HandDriven) -> None:
    loop = asyncio.get_running_loop()
    gate, due = Gate(Batch(2, wait=0)), loop.time() + 0.1
    gate.open.set()
    later = [Attempt(None, 2, 1, 0.0, 0.0, due)]  # type: ignore[arg-type]
    gate.left = lambda one: later if one.position == 1 and loop.time() < due else ()
    async with running(gate, consumer):
        consumer.give(b"a", b"a", b"a")
        await until(lambda: len(consumer.acked) == 3)
    assert gate.entered == [[1, 2], [1], [3]]
    assert consumer.acked == [2, 1, 3]
    assert loop.time() >= due


async def test_the_time_behind_another_batch_counts_as_waiting(consumer: HandDriven) -> None:
    now = [asyncio.get_running_loop().time()]
    clock = replace(Clock.of_loop(), time=lambda: now[0])
    gate = Gate(Batch(2, wait=60))
    async with running(gate, consumer, clock=clock):
        consumer.give(b"a", b"a", b"a")
        await gate.holds(1)
        now[0] += 60
        gate.open.set()
        await until(lambda: consumer.acked == [1, 2, 3])


async def test_a_halted_event_ends_the_engine(consumer: HandDriven) -> None:
    class Halting(Gate):
        async def handle_batch(self, taken: Taken, settle: Callable[[Delivery], None], /) -> Taken:
            settle(next(iter(taken)))
            raise EventHalted("no way on")

    engine = BatchEngine(
        Halting(Batch(2)), window=64, ordering="key", concurrency=1, drain_timeout=1
    )
    consumer.give(b"a", b"a", b"a")
    with pytest.raises(EventHalted):
        await asyncio.wait_for(engine.run(consumer), 5)
    assert consumer.acked == [1]


async def test_a_window_without_room_starts_what_there_is(
    consumer: HandDriven, caplog: pytest.LogCaptureFixture
) -> None:
    consumer.held.append(Lease("orders", "orders[1]"))
    gate = Gate(Batch(4, wait=60))
    with caplog.at_level(logging.WARNING, "dispytch"):
        async with running(gate, consumer, window=6):
            consumer.give(b"a", b"b")
            consumer.give(b"c")
            await gate.holds(1)
            assert gate.entered == [[1, 2, 3]], "a stream has no more than three"
            gate.open.set()
            await until(lambda: len(consumer.acked) == 3)
    [told] = [record.message for record in caplog.records]
    assert told == (
        "batches of 4 are never full: the 2 partitions or queues of this service have even shares "
        "of max_in_flight=6, 3 each; set it to 8 or more"
    )
