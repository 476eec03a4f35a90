"""An engine for listeners some of whose handlers take several events at once."""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Final, Protocol

from dispytch.circuit_breaker import Circuit
from dispytch.clock import Clock, Timer
from dispytch.delivery.attempt import Owed
from dispytch.delivery.batch_lanes import BatchLane, BatchLanes, Taken
from dispytch.delivery.engine import Engine
from dispytch.delivery.lanes import Ordering
from dispytch.messages import Delivery, Lease
from dispytch.routing import Batching

logger: logging.Logger = logging.getLogger("dispytch")

_GIVEN_BACK: Final = ()
"""What is owed to an event that stood for a batch: that was given back with its outcome."""


class HandlesBatches(Protocol):
    """Runs deliveries one by one, or several at once; see `BatchHandling`."""

    def batching_of(self, delivery: Delivery, /) -> Batching | None:
        """Of the handler that takes this delivery in batches; None: it is handled by itself."""
        ...

    def handle(
        self, delivery: Delivery, owed: Sequence[Owed] | None, /
    ) -> Awaitable[Sequence[Owed] | None]:
        """As `dispytch.delivery.engine.Handle`."""
        ...

    def handle_batch(self, taken: Taken, settle: Callable[[Delivery], None], /) -> Awaitable[Taken]:
        """Run a batch, call ``settle`` for each delivery that is done, and return the others."""
        ...


class BatchEngine(Engine):
    """An engine with lanes that fill before they start.

    A batch that is still filling when the engine stops, or when its stream is revoked, has not
    started, and is left to the broker.

    window: how many events may be in flight, of all streams together.
    """

    def __init__(
        self,
        handling: HandlesBatches,
        *,
        window: int,
        ordering: Ordering,
        concurrency: int,
        drain_timeout: float,
        circuit: Circuit | None = None,
        fill_gaps: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._window = window
        self._handle_single = handling.handle
        self._handle_batch = handling.handle_batch
        self._warned = False
        self._batch_lanes = BatchLanes(
            ordering,
            batching_of=handling.batching_of,
            share=self._share,
            set_alarm=self._set_alarm,
            fill_gaps=fill_gaps,
        )
        super().__init__(
            self._handle_any,
            lanes=self._batch_lanes,
            concurrency=concurrency,
            drain_timeout=drain_timeout,
            circuit=circuit,
            clock=clock,
        )

    def _handle_any(
        self, delivery: Delivery, owed: Sequence[Owed] | None
    ) -> Awaitable[Sequence[Owed] | None]:
        lane = self._batch_lanes.begin(delivery)
        return self._handle_single(delivery, owed) if lane is None else self._run_batch(lane)

    async def _run_batch(self, lane: BatchLane) -> Sequence[Owed]:
        left = await self._handle_batch(lane.taken, self._settle)
        self._batch_lanes.give_back(lane, left)
        if left:
            owed = [one for owings in left.values() for one in owings or ()]
            self._pause(lane.first, owed, partial(self._resume, lane))
        return _GIVEN_BACK

    def _resume(self, lane: BatchLane) -> None:
        del self._paused[lane.first]
        self._batch_lanes.resume(lane)
        self._pool.wake()

    def _settle(self, delivery: Delivery) -> None:
        self._ack(delivery)
        self._unsettled.pop(delivery, None)

    def _finish(self, delivery: Delivery, owed: Sequence[Owed] | None) -> None:
        if owed is not _GIVEN_BACK:
            super()._finish(delivery, owed)

    async def _come_to_rest(self, leases: Collection[Lease] | None) -> None:
        # What fills a gap has become ready without having been received just now.
        self._pool.wake()
        await super()._come_to_rest(leases)

    def _set_alarm(self, lane: BatchLane) -> Timer | None:
        batch = lane.batching.batch
        if batch.size > self._share():
            self._warn(batch.size)
        due = self._unsettled[lane.first] + batch.wait
        return None if due <= self._now() else self._clock.call_at(due, self._ripen, lane)

    def _ripen(self, lane: BatchLane) -> None:
        self._batch_lanes.ripen(lane)
        self._pool.wake()

    def _share(self) -> int:
        streams = len(self._consumer.leases) if self._consumer is not None else 1
        return max(1, self._window // max(1, streams))

    def _warn(self, size: int) -> None:
        if not self._warned and self._consumer is not None:
            self._warned = True
            streams = len(self._consumer.leases)
            logger.warning(
                "batches of %d are never full: the %d partitions or queues of this service have "
                "even shares of max_in_flight=%d, %d each; set it to %d or more",
                size,
                streams,
                self._window,
                self._share(),
                size * streams,
            )
