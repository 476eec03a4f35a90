"""The engine: takes deliveries in, has them run, settles them, and ends cleanly."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any

from dispytch.circuit_breaker import Circuit
from dispytch.clock import Clock
from dispytch.delivery.attempt import Owed, let_go
from dispytch.delivery.lanes import Lanes
from dispytch.delivery.pause import Pause
from dispytch.delivery.workers import WorkerPool
from dispytch.messages import Delivery, Lease
from dispytch.transport import Consumer

logger: logging.Logger = logging.getLogger("dispytch")

Handle = Callable[[Delivery, Sequence[Owed] | None], Awaitable[Sequence[Owed] | None]]
"""Runs a delivery's handlers; see `dispytch.delivery.handling.Handling.handle`."""


class Engine:
    """Runs the deliveries of one consumer, once.

    A delivery is settled after its outcome is known, never before. What has not started when the
    engine stops, or when its stream is revoked, is left to the broker; what has started may
    finish for ``drain_timeout`` seconds, then it is cancelled and left to the broker too.

    lanes: what waits, in its order.
    circuit: while it is open, nothing starts, or one event at a time.
    clock: the event loop's if not given.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        lanes: Lanes,
        concurrency: int,
        drain_timeout: float,
        circuit: Circuit | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock.of_loop()
        self._handle = handle
        self._drain_timeout = drain_timeout
        self._lanes = lanes
        run = handle if circuit is None else partial(self._handle_in, circuit)
        self._pool = WorkerPool(lanes, run, self._finish, concurrency, circuit, clock)
        self._loop = asyncio.get_running_loop()
        self._now = clock.time
        self._clock = clock
        self._stopping = asyncio.Event()
        self._unsettled: dict[Delivery, float] = {}
        self._paused: dict[Delivery, Pause] = {}
        self._consumer: Consumer | None = None
        self._ack: Callable[[Delivery], None]

    async def run(self, consumer: Consumer) -> None:
        """Take in and run deliveries until `stop`, then drain.

        Raises, after draining:
            EventHalted: an event that may neither be settled nor passed over.
            DispytchError: the consumer cannot go on.
        """
        self._consumer = consumer
        self._ack = consumer.ack
        self._pool.start()
        intake = asyncio.create_task(self._take_in(consumer), name="dispytch-intake")
        stopping = asyncio.create_task(self._stopping.wait(), name="dispytch-stopping")
        ends: set[asyncio.Future[Any]] = {intake, stopping, self._pool.failure}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            failure = self._pool.failure.exception() if self._pool.failure.done() else None
            await self._drain(consumer, intake)
            stopping.cancel()
        if failure is not None:
            raise failure

    @property
    def stopping(self) -> bool:
        """Whether it takes nothing in any more."""
        return self._stopping.is_set()

    @property
    def in_flight(self) -> int:
        """How many events are received and not settled."""
        return len(self._unsettled)

    @property
    def oldest(self) -> float | None:
        """For how many seconds the oldest of them has been so."""
        for arrived in self._unsettled.values():
            return self._now() - arrived
        return None

    @property
    def at_rest(self) -> bool:
        """Whether nothing runs and nothing can start before the clock has moved on."""
        return self._pool.at_rest(None)

    def stop(self) -> None:
        """Take nothing in any more and forget what has not started; `run` drains and returns."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._forget(partial(self._lanes.retire, None))
        if self._consumer is not None:
            self._consumer.stop_receiving()

    def runs(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether a task is one that handlers run in."""
        return self._pool.has(task)

    def cut_short(self) -> None:
        """Stop, and cancel what is running instead of waiting for it; it is left to the broker."""
        self.stop()
        self._forget(self._lanes.drop_all)
        self._pool.cancel(None)

    async def revoke(self, leases: Collection[Lease]) -> None:
        """Finish what is running of these leases and forget the rest: `Backend.consumer`'s part."""
        self._forget(partial(self._lanes.retire, leases))
        await self._come_to_rest(leases)
        self._forget(partial(self._lanes.drop, leases))
        for delivery in [one for one in self._unsettled if one.lease in leases]:
            del self._unsettled[delivery]

    async def _take_in(self, consumer: Consumer) -> None:
        while not self._stopping.is_set():
            deliveries = await consumer.receive()
            if deliveries and not self._stopping.is_set():
                self._unsettled.update(dict.fromkeys(deliveries, self._now()))
                self._lanes.add(deliveries)
                self._pool.wake()

    async def _handle_in(
        self, circuit: Circuit, delivery: Delivery, owed: Sequence[Owed] | None
    ) -> Sequence[Owed] | None:
        circuit.start(delivery)
        try:
            return await self._handle(delivery, owed)
        finally:
            circuit.finish(delivery)

    def _finish(self, delivery: Delivery, owed: Sequence[Owed] | None) -> None:
        if owed is not None:
            self._pause(delivery, owed, partial(self._again, delivery, owed))
        else:
            self._ack(delivery)
            self._unsettled.pop(delivery, None)
            self._lanes.advance(delivery)

    def _pause(self, delivery: Delivery, owed: Sequence[Owed], end: Callable[[], None]) -> None:
        if self._lanes.holds(delivery.lease):
            self._paused[delivery] = Pause(self._clock, owed, end)
        else:
            let_go(owed)

    def _again(self, delivery: Delivery, owed: Sequence[Owed]) -> None:
        del self._paused[delivery]
        self._lanes.again(delivery, owed)
        self._pool.wake()

    def _forget(self, forget: Callable[[], None]) -> None:
        """Have lanes be forgotten, and what limits keep for events in them that ran before."""
        before = self._lanes.owing()
        forget()
        after = self._lanes.owing()
        for delivery, owed in before.items():
            if delivery not in after:
                let_go(owed)
        for delivery in [one for one in self._paused if not self._lanes.holds(one.lease)]:
            self._paused.pop(delivery).cancel()

    async def _drain(self, consumer: Consumer, intake: asyncio.Task[None]) -> None:
        self.stop()
        if self._pool.failure.done():
            self._forget(self._lanes.drop_all)
        await self._come_to_rest(None)
        self._forget(self._lanes.drop_all)
        await self._pool.close()
        try:
            await consumer.flush()
        finally:
            await intake

    async def _come_to_rest(self, leases: Collection[Lease] | None) -> None:
        deadline = self._loop.time() + self._drain_timeout
        if await self._pool.quiet(leases, deadline):
            return
        if leases is None:
            self._forget(self._lanes.drop_all)
        else:
            self._forget(partial(self._lanes.drop, leases))
        for delivery in await self._pool.cancelled(leases):
            logger.error(
                "a handler still ran after %.1f s of draining and was cancelled; its event on %s "
                "is left to the broker",
                self._drain_timeout,
                delivery.lease.stream,
            )
