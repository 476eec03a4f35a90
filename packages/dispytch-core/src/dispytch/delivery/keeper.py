"""Events that wait at a broker which keeps nothing back, and who sends them on when it is time."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

from dispytch.clock import Clock
from dispytch.dead_letters import Failure
from dispytch.delivery.aftermath import place
from dispytch.delivery.attempt import Parting
from dispytch.delivery.partings import Partings
from dispytch.exceptions import DecodeError, Unsigned
from dispytch.messages import Delivery, Lease, Message, Undecodable
from dispytch.redelivery import due_of, hold_of, way_back
from dispytch.transport import Consumer

logger: logging.Logger = logging.getLogger("dispytch")

WINDOW: Final = 500
"""How many events the keeper has in hand; all the others wait at the broker."""

_EARLY: Final = 1.0
"""Seconds before an event is due that it is sent to where it waits for the rest of the time."""

_REST: Final = 5.0
"""The longest time in which nobody looks: the wall clock may be set."""

GiveUp = Callable[[Delivery, Failure], Parting | None]
"""What is owed to an event that cannot be sent on; None: nothing, it may be settled."""


class Keeper:
    """Sends on, from each of the group's holding topics, what has been there for long enough.

    All that is in one topic stays for the same time, so the first one is always the next one: a
    short wait is behind no long one, and the broker can be told of what is done without gaps. What
    is not due by then goes through the next shorter topic, and so on, and in the end to the retry
    topic, where the engine waits for the last seconds.

    give_up: what becomes of an event that the driver could not read, or that no topic takes.
    check: as `Admission` has it.
    """

    def __init__(
        self,
        group: str,
        partings: Partings,
        give_up: GiveUp,
        clock: Clock,
        check: Callable[[Delivery], None] | None = None,
    ) -> None:
        self._group = group
        self._partings = partings
        self._give_up = give_up
        self._clock = clock
        self._check = check
        self._waiting: dict[Lease, deque[Delivery]] = {}
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._consumer: Consumer | None = None

    @property
    def problems(self) -> Mapping[str, str]:
        """What keeps events from being sent on; see `Consumer.problems`."""
        if self._consumer is None:
            return {}
        told = self._consumer.problems
        return {f"delays.{name}": f"delayed events wait: {text}" for name, text in told.items()}

    async def run(self, consumer: Consumer) -> None:
        """Send on what is due until `stop`.

        Raises:
            EventHalted: an event that may neither be sent on nor passed over.
            DispytchError: the consumer cannot go on.
        """
        self._consumer = consumer
        stopping = asyncio.create_task(self._stopping.wait(), name="dispytch-keeper-stopping")
        receiving = asyncio.ensure_future(consumer.receive())
        try:
            while not self._stopping.is_set():
                await asyncio.wait(
                    {receiving, stopping},
                    timeout=self._rest(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if receiving.done():
                    self._take(receiving.result())
                    receiving = asyncio.ensure_future(consumer.receive())
                await self._send_on(consumer)
        finally:
            stopping.cancel()
            consumer.stop_receiving()
            await asyncio.wait({receiving})
            await consumer.flush()

    def stop(self) -> None:
        """Have `run` return; what waits is left to the broker."""
        self._stopping.set()

    async def revoke(self, leases: Collection[Lease]) -> None:
        """Forget what waits in these; what is on its way is settled first."""
        async with self._turn:
            for lease in leases:
                self._waiting.pop(lease, None)

    def _take(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._waiting.setdefault(delivery.lease, deque()).append(delivery)

    def _rest(self) -> float | None:
        """Seconds until something is to be sent on; None when nothing waits."""
        heads = [queue[0] for queue in self._waiting.values() if queue]
        if not heads:
            return None
        return min(_REST, max(0.0, min(map(self._ready, heads)) - self._clock.wall()))

    def _ready(self, delivery: Delivery) -> float:
        """When a delivery is to be sent on, in seconds since the epoch."""
        due = _due(delivery)
        hold = hold_of(delivery.topic, self._group)
        if due is None or hold is None:
            return 0.0
        now = self._clock.wall()
        since = now if delivery.timestamp_ms is None else min(now, delivery.timestamp_ms / 1000)
        return min(since + hold, due - _EARLY)

    async def _send_on(self, consumer: Consumer) -> None:
        async with self._turn:
            now = self._clock.wall()
            owed: list[tuple[Delivery, Parting]] = []
            for queue in self._waiting.values():
                while queue and self._ready(queue[0]) <= now:
                    delivery = queue.popleft()
                    parting = self._parting(delivery, now)
                    if parting is None:
                        consumer.ack(delivery)
                    else:
                        owed.append((delivery, parting))
            await self._settle(consumer, owed)

    def _parting(self, delivery: Delivery, now: float) -> Parting | None:
        if isinstance(delivery, Undecodable):
            failure = Failure("undecodable", DecodeError(delivery.reason))
            return self._give_up(delivery, failure)
        try:
            if self._check is not None:
                self._check(delivery)
        except Unsigned as error:
            return self._give_up(delivery, Failure("unsigned", error))
        due = _due(delivery)
        topic = way_back(self._group, 0.0 if due is None else due - now)
        message = Message(topic, delivery.value, delivery.key, delivery.headers, repeats=delivery)
        where = place(delivery, None, 0)
        refused = partial(self._refused, delivery)
        return Parting("moved", message, None, where, self._clock.time(), otherwise=refused)

    def _refused(self, delivery: Delivery, _: Parting, error: Exception) -> Parting | None:
        return self._give_up(delivery, Failure("unsendable", error))

    async def _settle(self, consumer: Consumer, owed: Sequence[tuple[Delivery, Parting]]) -> None:
        """Send, and ack what is confirmed; the rest again, until it is or `stop` was called."""
        while owed:
            left = await asyncio.gather(*(self._partings.send(parting) for _, parting in owed))
            remaining: list[tuple[Delivery, Parting]] = []
            for (delivery, _), parting in zip(owed, left, strict=True):
                if parting is None:
                    consumer.ack(delivery)
                elif not delivery.lease.ended:
                    remaining.append((delivery, parting))
            owed = remaining
            if owed:
                pause = max(0.0, min(one.due for _, one in owed) - self._clock.time())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                    return


@contextlib.asynccontextmanager
async def keeping(
    consuming: AbstractAsyncContextManager[Consumer],
    keeper: Keeper,
    *,
    drain_timeout: float,
    failed: Callable[[], None],
) -> AsyncGenerator[None, None]:
    """Have a keeper run; leaving this has it stop.

    consuming: gives the consumer of the holding topics, which calls `Keeper.revoke`.
    failed: called when it ends of an error, which is raised in the end.
    """

    def look(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            failed()

    async with consuming as consumer:
        running = asyncio.create_task(keeper.run(consumer), name="dispytch-keeper")
        running.add_done_callback(look)
        try:
            yield
        finally:
            keeper.stop()
            await asyncio.wait({running}, timeout=drain_timeout)
            running.cancel()
            await asyncio.wait({running})
        if not running.cancelled():
            running.result()


def _due(delivery: Delivery) -> float | None:
    """In seconds since the epoch; None where it cannot be read, which the engine is to see."""
    if isinstance(delivery, Undecodable):
        return None
    try:
        return due_of(delivery.headers)
    except DecodeError:
        return None
