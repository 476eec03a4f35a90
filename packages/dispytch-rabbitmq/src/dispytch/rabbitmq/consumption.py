"""One queue being consumed on one channel: what was delivered under one lease, and its settling."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pamqp import commands

from dispytch.messages import Delivery, Lease
from dispytch.rabbitmq.amqp import frames
from dispytch.rabbitmq.amqp.channel import Channel, ChannelEvents
from dispytch.rabbitmq.amqp.errors import AmqpError
from dispytch.rabbitmq.amqp.frames import Delivered
from dispytch.rabbitmq.amqp.methods import write_method
from dispytch.rabbitmq.messages import delivery
from dispytch.rabbitmq.settlements import Settlements
from dispytch.rabbitmq.topology import GroupQueue

CONSUMER_TAG = "dispytch"
TELL_AFTER = 0.005
"""Seconds for which settlements may wait for others, to go to the broker together."""


class QueueGone(AmqpError):
    """The broker has ended the consumer: its queue was deleted, or moved."""


@dataclass(eq=False, slots=True)
class QueueLease(Lease):
    """The hold of one channel on one queue. ``stream`` is the queue's name."""

    consumption: "Consumption | None" = None


class Consumption(ChannelEvents):
    """One queue being consumed on one channel, until either ends; `over` tells why.

    The broker hands out at most `prefetch` deliveries that it has not been told the end of. So
    settlements never wait long: a run from the oldest on is told as one, together with a quarter
    of the window or after 5 ms; what lies behind an open one is told singly, then.
    """

    def __init__(self, queue: GroupQueue, prefetch: int, arrived: Callable[[], None]) -> None:
        self.lease = QueueLease(queue.topic, queue.name, consumption=self)
        self.buffer: deque[Delivery] = deque()
        self.paused = False
        self.over: asyncio.Future[AmqpError] = asyncio.get_running_loop().create_future()
        self._prefetch = prefetch
        self._enough = max(1, prefetch // 4)
        self._arrived = arrived
        self._settlements = Settlements()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._unsynced = False
        self._channel: Channel | None = None

    async def start(self, channel: Channel) -> None:
        """Begin to consume on an open channel, whose events come here.

        Raises:
            AmqpError: the broker refused, or the channel has ended.
        """
        self._channel = channel
        await self._sync(channel)
        consume = commands.Basic.Consume(queue=self.lease.stream, consumer_tag=CONSUMER_TAG)
        await channel.call(consume, commands.Basic.ConsumeOk)

    @property
    def handed_out(self) -> int:
        """How many deliveries core has and has not settled."""
        return 0 if self.lease.ended else self._settlements.unsettled - len(self.buffer)

    @property
    def ready(self) -> bool:
        """Whether there is something to hand out."""
        return bool(self.buffer) and not self.paused

    def ack(self, tag: int) -> None:
        """The delivery is done."""
        if not self.lease.ended:
            self._settlements.ack(tag)
            self._settled()

    def nack(self, tag: int) -> None:
        """The delivery goes back to the queue."""
        if not self.lease.ended:
            self._settlements.nack(tag)
            self._settled()

    async def flush(self) -> None:
        """Return once the broker has every settlement so far, or the lease has ended."""
        self._tell(everything=True)
        if self._unsynced and self._channel is not None:
            with contextlib.suppress(AmqpError):
                await self._sync(self._channel)

    def stop(self) -> None:
        """Ask the broker for nothing more; what was not handed out stays with it."""
        self._stopped = True
        self.buffer.clear()
        if self._channel is not None and not self.lease.ended:
            cancel = commands.Basic.Cancel(consumer_tag=CONSUMER_TAG, nowait=True)
            self._channel.write(write_method(self._channel.number, cancel))

    async def close(self) -> None:
        """Give the queue up: tell what is settled; what is not goes back to the queue."""
        await self.flush()
        self._end(QueueGone("the consumer was closed"))
        if self._channel is not None:
            await self._channel.close()

    def delivered(self, delivered: Delivered, header: bytes, body: bytes) -> None:
        """A message has arrived."""
        if self._stopped or self.lease.ended:
            return
        self._settlements.delivered(delivered.tag)
        self.buffer.append(delivery(self.lease, delivered, header, body))
        self._arrived()

    def cancelled(self) -> None:
        """The broker has ended the consumer."""
        self._end(QueueGone(f"the broker ended the consumer of queue {self.lease.stream!r}"))

    def ended(self, error: AmqpError) -> None:
        """The channel is dead."""
        self._end(error)

    def _end(self, error: AmqpError) -> None:
        if self.over.done():
            return
        self.lease.ended = True
        self.buffer.clear()
        if self._timer is not None:
            self._timer.cancel()
        self.over.set_result(error)
        self._arrived()

    def _settled(self) -> None:
        if self._settlements.untold >= self._enough:
            self._tell(everything=False)
        elif self._timer is None and self._settlements.untold:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(TELL_AFTER, self._tell_by_time)

    def _tell_by_time(self) -> None:
        self._timer = None
        self._tell(everything=True)

    def _tell(self, *, everything: bool) -> None:
        channel, settlements = self._channel, self._settlements
        if channel is None or self.lease.ended:
            return
        told = settlements.take_all() if everything else settlements.take_runs()
        parts = [frames.nack(channel.number, tag) for tag in told.nacked]
        parts += (frames.ack(channel.number, tag, multiple=False) for tag in told.acked)
        if told.acked_up_to is not None:
            parts.append(frames.ack(channel.number, told.acked_up_to, multiple=True))
        if parts:
            self._unsynced = True
            channel.write(b"".join(parts))
        if not everything and settlements.untold >= self._enough:
            self._tell(everything=True)

    async def _sync(self, channel: Channel) -> None:
        # Settlements have no answer of their own; but the broker works a channel off in order, so
        # the answer to any call says that it has those before it. This call changes nothing.
        self._unsynced = False
        qos = commands.Basic.Qos(prefetch_count=self._prefetch)
        await channel.call(qos, commands.Basic.QosOk)
