"""The fixed set of tasks that runs events."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextvars import copy_context
from typing import Any, Final, cast

from dispytch.circuit_breaker import Circuit
from dispytch.clock import Clock, Timer
from dispytch.delivery.attempt import Owed
from dispytch.delivery.lanes import Lanes
from dispytch.exceptions import DispytchError
from dispytch.messages import Delivery, Lease
from dispytch.unawaited import running

logger: logging.Logger = logging.getLogger("dispytch")

Owing = Sequence[Owed] | None

_SLICE: Final = 0.005
"""Seconds after which workers whose handlers never wait let the event loop breathe."""

_CANCEL_GRACE: Final = 1.0
"""Seconds that a cancelled handler has to come to its end."""


class WorkerPool:
    """``size`` long-lived workers that take ready events in turn, one at a time.

    There is no task per event, and one wake-up per batch: a worker whose handler has to wait
    lets the next ones be woken. ``handle`` runs an event for what it is owed, ``finish`` gives it
    back; when one of them raises, the pool has failed: `failure` is done, and nothing more is
    taken. An event is taken only while the circuit allows it; who takes one tells it at once.
    """

    def __init__(
        self,
        lanes: Lanes,
        handle: Callable[[Delivery, Owing], Awaitable[Owing]],
        finish: Callable[[Delivery, Owing], None],
        size: int,
        circuit: Circuit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._call_at = (clock or Clock.of_loop()).call_at
        self._loop = asyncio.get_running_loop()
        self._lanes = lanes
        self._handle = handle
        self._finish = finish
        self._size = size
        self._circuit = circuit
        self._resuming: Timer | None = None
        if circuit is not None:
            circuit.on_change = self._summon
        self._workers: set[_Worker] = set()
        self._parked: deque[asyncio.Future[None]] = deque()
        self._summoned = False
        self._roused = False
        self._breathing = False
        self._slice_ends = 0.0
        self._watchers = 0
        self._progress = asyncio.Event()
        self._closing = False
        self.failure: asyncio.Future[None] = self._loop.create_future()

    def start(self) -> None:
        """Start the workers."""
        for _ in range(self._size):
            self._hire()

    def wake(self) -> None:
        """Events have become ready: see that one worker is awake to take them."""
        self._slice_ends = time.monotonic() + _SLICE
        if not (self._roused or self._breathing):
            self._rouse()

    async def quiet(self, leases: Collection[Lease] | None, deadline: float) -> bool:
        """Wait until nothing runs of these leases, None for all, and nothing of them is ready.

        False: the deadline came.

        ``deadline`` is a time of the event loop's clock.
        """
        self._watchers += 1
        try:
            async with asyncio.timeout_at(deadline):
                while not self.at_rest(leases):
                    self._progress.clear()
                    await self._progress.wait()
            return True
        except TimeoutError:
            return False
        finally:
            self._watchers -= 1

    def at_rest(self, leases: Collection[Lease] | None) -> bool:
        """Whether nothing runs of these leases, None for all, and nothing of them may start."""
        return not (self._busy(leases) or self._may_still_run(leases))

    def has(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether a task is one of the workers."""
        return any(worker.task is task for worker in self._workers)

    def cancel(self, leases: Collection[Lease] | None) -> Sequence["_Worker"]:
        """Cancel what is running of these leases, None for all."""
        busy = self._busy(leases)
        for worker in busy:
            worker.cancelled = True
            worker.task.cancel()
        return busy

    async def cancelled(self, leases: Collection[Lease] | None) -> list[Delivery]:
        """Cancel as `cancel` does, and wait for the end of it; the events that did not finish."""
        busy = self.cancel(leases)
        if busy:
            await asyncio.wait([worker.task for worker in busy], timeout=_CANCEL_GRACE)
        return [worker.event for worker in busy if worker.event is not None]

    async def close(self) -> None:
        """Cancel every worker and wait until they have ended."""
        self._closing = True
        if self._resuming is not None:
            self._resuming.cancel()
        tasks = [worker.task for worker in self._workers]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_GRACE)
        if self.failure.done():
            self.failure.exception()

    def _may_still_run(self, leases: Collection[Lease] | None) -> bool:
        held = self._circuit is not None and not self._circuit.allows()
        return self._lanes.has_ready(leases) and not held and not self.failure.done()

    def _busy(self, leases: Collection[Lease] | None) -> list["_Worker"]:
        return [
            worker
            for worker in self._workers
            if worker.event is not None and (leases is None or worker.event.lease in leases)
        ]

    def _hire(self) -> None:
        worker = _Worker()
        self._workers.add(worker)
        task = asyncio.create_task(self._work(worker), name="dispytch-worker")
        worker.task = task
        task.add_done_callback(lambda _: self._left(worker))

    def _left(self, worker: "_Worker") -> None:
        self._workers.discard(worker)
        self._progress.set()
        error = self._reason(worker)
        if error is not None and not self.failure.done():
            self.failure.set_exception(error)
        if not (self._closing or self.failure.done()):
            self._hire()

    def _reason(self, worker: "_Worker") -> BaseException | None:
        """What a worker ended of; None when all is well."""
        if not worker.task.cancelled():
            return worker.task.exception()
        if worker.cancelled or self._closing or worker.event is None:
            return None
        event = worker.event
        return DispytchError(
            f"the task that runs handlers was cancelled, by a handler or from outside, at an event "
            f"of {event.lease.stream}; the event is left unsettled and the listener stops"
        )

    async def _work(self, worker: "_Worker") -> None:
        running.set(worker)
        lanes, circuit, clock, clean = self._lanes, self._circuit, time.monotonic, copy_context()
        # An eager task is at work before whoever makes it has it.
        worker.task = cast("asyncio.Task[None]", asyncio.current_task())
        # A worker whose context an event has changed leaves, and a fresh one takes its place:
        # what one event sets in a context variable never reaches another.
        while copy_context() == clean and not self.failure.done():
            if not lanes.ready:
                await self._park()
            elif circuit is not None and not circuit.allows():
                await self._hold(circuit)
            elif self._breathing:
                await self._park()
            else:
                worker.event = delivery = lanes.take()
                if lanes.ready and self._parked and not self._summoned:
                    self._summon()
                owed = lanes.owed.pop(delivery, None) if lanes.owed else None
                self._finish(delivery, await self._handle(delivery, owed))
                worker.event = None
                if worker.task.cancelling() and not worker.cancelled:
                    # A handler has cancelled itself and gone on; the next one is not meant.
                    worker.task.uncancel()
                if self._watchers:
                    self._progress.set()
                if clock() > self._slice_ends:
                    self._let_breathe()

    def _let_breathe(self) -> None:
        self._breathing = True
        self._loop.call_soon(self._breathed)

    def _breathed(self) -> None:
        self._breathing = False
        self.wake()

    async def _park(self) -> None:
        parked = self._loop.create_future()
        self._parked.append(parked)
        try:
            await parked
        except asyncio.CancelledError:
            self._roused = False
            self.wake()
            raise
        self._roused = False

    def _rouse(self) -> bool:
        """Wake a parked worker for a ready event; whether there was one."""
        while self._lanes.ready and self._parked:
            parked = self._parked.popleft()
            if not parked.done():
                parked.set_result(None)
                self._roused = True
                return True
        return False

    async def _hold(self, circuit: Circuit) -> None:
        """Park until the circuit may allow events again."""
        # While a probe runs, its worker comes back by itself, and the circuit tells of its outcome.
        if self._resuming is None and circuit.next_probe is not None:
            self._resuming = self._call_at(circuit.next_probe, self._resume)
        await self._park()

    def _resume(self) -> None:
        self._resuming = None
        self.wake()

    def _summon(self) -> None:
        # Runs only once the current worker has to wait: a handler that never does keeps the
        # others asleep, and costs no wake-up.
        self._summoned = True
        self._loop.call_soon(self._wake_all_needed)

    def _wake_all_needed(self) -> None:
        self._summoned = False
        if not self._breathing:
            for _ in range(len(self._lanes.ready)):
                if not self._rouse():
                    return


class _Worker:
    __slots__ = ("cancelled", "event", "task")

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.event: Delivery | None = None
        self.cancelled = False
