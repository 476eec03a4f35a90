"""One queue being consumed on one channel: what was delivered under one lease, and its settling."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from dispytch.messages import Delivery, Lease
from dispytch.rabbitmq.driver import Channel, Delivered, close_channel, when_ended
from dispytch.rabbitmq.failures import AmqpError, failure, translated_failures
from dispytch.rabbitmq.messages import delivery
from dispytch.rabbitmq.probes import is_probe, send_flush, send_marker
from dispytch.rabbitmq.settlements import Settlements, Told
from dispytch.rabbitmq.topology import GroupQueue

CONSUMER_TAG = "dispytch"
TELL_AFTER = 0.005
"""Seconds for which settlements may wait for others, to go to the broker together."""

TELLING_TAKES = 5.0
"""Seconds after which settlements that the connection does not take are a problem."""


class QueueGone(AmqpError):
    """The broker has ended the consumer: its queue was deleted, or moved."""


@dataclass(eq=False, slots=True)
class QueueLease(Lease):
    """The hold of one channel on one queue. ``stream`` is the queue's name."""

    consumption: "Consumption | None" = None


class Consumption:
    """One queue being consumed on one channel, until either ends; `over` tells why.

    The broker hands out at most `prefetch` deliveries that it has not been told the end of. So
    settlements never wait long: a run from the oldest on is told as one, together with a quarter
    of the window or after 5 ms; what lies behind an open one is told singly, then.
    """

    def __init__(self, queue: GroupQueue, prefetch: int, arrived: Callable[[], None]) -> None:
        self.lease: QueueLease = QueueLease(queue.topic, queue.name, consumption=self)
        self._topic_of = queue.topic_of
        self.buffer: deque[Delivery] = deque()
        self.paused = False
        self.active_since: float | None = None
        """When the broker first delivered anything; to one that only stands by, it never does."""
        self.given_up: asyncio.Future[None] | None = None
        """Set where it ends of our own will; done when core has drained it."""
        self.over: asyncio.Future[AmqpError] = asyncio.get_running_loop().create_future()
        self._prefetch = prefetch
        self._enough = max(1, prefetch // 4)
        self._arrived = arrived
        self._settlements = Settlements()
        self._due = asyncio.Event()
        self._overdue = False
        self._telling = asyncio.Lock()
        self._teller: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._unsynced = False
        self._telling_since: float | None = None
        self.deliveries: int = 0
        self.progressed: bool = False
        """Whether core has settled anything of it."""
        self._is_quorum = queue.arguments.get("x-queue-type") == "quorum"
        self._told = False
        self._marker: str | None = None
        self.has_ended: bool = False
        """Whether all has arrived that was in the queue when `mark_the_end` was called."""
        self._channel: Channel | None = None

    async def start(self, channel: Channel) -> None:
        """Begin to consume on an open channel.

        Raises:
            AmqpError: the broker refused, or the channel has ended.
        """
        self._channel = channel
        when_ended(channel, self._end)
        channel.on_consumer_cancel_callbacks.add(self._cancelled)
        with translated_failures():
            await self._sync(channel)
            await channel.basic_consume(
                self.lease.stream, self._delivered, consumer_tag=CONSUMER_TAG
            )
        self._teller = asyncio.create_task(self._tell_when_due(channel), name="dispytch-acks")
        self._teller.add_done_callback(self._teller_ended)

    async def mark_the_end(self, channel: Channel) -> None:
        """Mark where the queue ends now; see `has_ended`.

        Raises:
            AmqpError: the broker refused, or the channel has ended.
        """
        self._marker = uuid4().hex
        await send_marker(channel, self.lease.stream, self._marker)

    @property
    def is_full(self) -> bool:
        """Whether the broker hands out nothing more before something is settled."""
        return self._settlements.unsettled >= self._prefetch

    @property
    def is_quorum(self) -> bool:
        """Whether its queue is a quorum queue."""
        return self._is_quorum

    def is_marker(self, delivered: Delivered) -> bool:
        """Whether a message is what marks the end; see `mark_the_end`."""
        properties = delivery(self.lease, self._topic_of, delivered).properties
        return is_probe(delivered, properties) and properties.message_id == self._marker

    @property
    def holds(self) -> bool:
        """Whether its queue is being consumed, and goes on to be."""
        return self._channel is not None and not self.lease.ended and self.given_up is None

    @property
    def outstanding(self) -> int:
        """How many deliveries the broker waits for, of which it hands out only so many."""
        return self._settlements.unsettled

    @property
    def handed_out(self) -> int:
        """How many deliveries core has and has not settled."""
        return 0 if self.lease.ended else self._settlements.unsettled - len(self.buffer)

    @property
    def problem(self) -> str | None:
        """Why what is settled does not get to the broker, or None."""
        if self._telling_since is None:
            return None
        lasts = time.monotonic() - self._telling_since
        if lasts < TELLING_TAKES:
            return None
        return f"acks of queue {self.lease.stream} have not got through, since {lasts:.0f} s"

    @property
    def ready(self) -> bool:
        """Whether there is something to hand out."""
        return bool(self.buffer) and not self.paused

    def ack(self, tag: int) -> None:
        """The delivery is done."""
        if not self.lease.ended:
            self.progressed = True
            self._settlements.ack(tag)
            self._settled()

    def nack(self, tag: int) -> None:
        """The delivery goes back to the queue."""
        if not self.lease.ended:
            self._settlements.nack(tag)
            self._settled()

    async def flush(self) -> None:
        """Return once the broker has every settlement so far, or the lease has ended."""
        if self._channel is None:
            return
        with contextlib.suppress(AmqpError), translated_failures():
            await self._tell(self._channel, everything=True)
            if self._unsynced and not self.lease.ended:
                await self._sync(self._channel)

    def stop(self) -> None:
        """Hand out nothing more; what comes goes back with the rest when the channel closes.

        The consumer is not cancelled at the broker, which would queue again what is on its way
        before that, and so ahead of what is older.
        """
        self._stopped = True
        self.buffer.clear()

    @property
    def is_unsure(self) -> bool:
        """Whether its queue may not have all that the broker was told; see `make_sure`."""
        return self._is_quorum and self._told and not self.lease.ended

    async def make_sure(self) -> None:
        """Return once its queue has every settlement that was flushed, or the lease has ended.

        Publishes on the channel; see `dispytch.rabbitmq.probes`.
        """
        if self._channel is not None:
            with contextlib.suppress(AmqpError):
                await send_flush(self._channel, self.lease.stream)

    async def close(self) -> None:
        """Give the queue up: tell what is settled; what is not goes back to the queue."""
        await self.flush()
        self._end(QueueGone("the consumer was closed"))
        if self._teller is not None:
            await asyncio.gather(self._teller, return_exceptions=True)
        if self._channel is not None:
            with contextlib.suppress(AmqpError):
                await close_channel(self._channel)

    async def _delivered(self, delivered: Delivered) -> None:
        # The driver runs this in a task of its own, in the order of the wire; it must not wait.
        if self.lease.ended or delivered.delivery_tag is None:
            return
        if self._stopped and self._marker is None:
            return
        if self.active_since is None:
            self.active_since = asyncio.get_running_loop().time()
        self._settlements.delivered(delivered.delivery_tag)
        self.deliveries += 1
        arrived = delivery(self.lease, self._topic_of, delivered)
        if self.has_ended:
            # It came after the end, and goes back when the channel closes.
            return
        if is_probe(delivered, arrived.properties):
            self.has_ended = self._marker == arrived.properties.message_id is not None
            self._settlements.ack(delivered.delivery_tag)
            self._settled()
        elif not self._stopped:
            self.buffer.append(arrived)
        self._arrived()

    def _cancelled(self, _frame: object) -> None:
        self._end(QueueGone(f"the broker ended the consumer of queue {self.lease.stream!r}"))

    def _end(self, error: AmqpError) -> None:
        if self.over.done():
            return
        self.lease.ended = True
        self.buffer.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._teller is not None:
            self._teller.cancel()
        self.over.set_result(error)
        self._arrived()

    def _settled(self) -> None:
        if self._settlements.untold >= self._enough:
            self._due.set()
        else:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None and self._settlements.untold:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(TELL_AFTER, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._overdue = True
        self._due.set()

    async def _tell_when_due(self, channel: Channel) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            overdue, self._overdue = self._overdue, False
            await self._tell(channel, everything=overdue)
            self._set_timer()

    def _teller_ended(self, teller: asyncio.Task[None]) -> None:
        # Without it, nothing more is settled: the queue has to be consumed anew.
        if not teller.cancelled():
            self._end(failure(teller.exception()))

    async def _tell(self, channel: Channel, *, everything: bool) -> None:
        # One at a time, as the order of what is told must be that in which it was taken.
        async with self._telling:
            if self.lease.ended:
                return
            settlements = self._settlements
            told = settlements.take_all() if everything else settlements.take_runs()
            self._telling_since = time.monotonic()
            await self._write(channel, told)
            if settlements.untold >= self._enough:
                await self._write(channel, settlements.take_all())
            self._telling_since = None

    async def _write(self, channel: Channel, told: Told) -> None:
        self._told = True
        for tag in told.nacked:
            self._unsynced = True
            await channel.basic_nack(tag, wait=False)
        for tag in told.acked:
            self._unsynced = True
            await channel.basic_ack(tag, wait=False)
        if told.acked_up_to is not None:
            self._unsynced = True
            await channel.basic_ack(told.acked_up_to, multiple=True, wait=False)

    async def _sync(self, channel: Channel) -> None:
        # Settlements have no answer of their own; but the broker works a channel off in order, so
        # the answer to any call says that it has those before it. This call changes nothing.
        self._unsynced = False
        await channel.basic_qos(prefetch_count=self._prefetch)
