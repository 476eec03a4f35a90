"""Receiving: the queues of a group, taken from in turn."""

import asyncio
from collections.abc import Sequence

from dispytch.exceptions import BrokerUnreachable, DispytchError, TransportError
from dispytch.messages import Delivery, Lease
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.consumption import Consumption, QueueLease
from dispytch.rabbitmq.failures import AmqpError
from dispytch.rabbitmq.link import Link
from dispytch.rabbitmq.stream import QueueStream
from dispytch.rabbitmq.topology import group_queues
from dispytch.transport import Consumer, OnRevoke, Subscription

PREFETCH_MAX = 65535


class RabbitMQConsumer(Consumer):
    """A member of a group: one channel for each queue, so that each has its own window and tags."""

    def __init__(self, config: RabbitMQConfig, subscription: Subscription) -> None:
        queues = group_queues(
            subscription.topics, subscription.group, config.queue_type, config.delivery_limit
        )
        self._config = config
        self._link = Link(config, f"consumer {subscription.group}")
        share = min(PREFETCH_MAX, max(1, subscription.max_in_flight // max(1, len(queues))))
        self._max_in_flight = subscription.max_in_flight
        self._shared_out = share * len(queues) <= subscription.max_in_flight
        self._arrived = asyncio.Event()
        self._streams = [
            QueueStream(queue, share, self._link, config, self._arrived.set) for queue in queues
        ]
        self._keepers: list[asyncio.Task[None]] = []
        self._failure: Exception | None = None
        self._stopped = False

    async def open(self, on_revoke: OnRevoke) -> None:
        """Connect and consume; from then on, keep doing so.

        Raises:
            BrokerUnreachable, TopologyError: as `Backend.consumer` says.
        """
        await self._link.open()
        try:
            for stream in self._streams:
                await stream.open()
        except AmqpError as error:
            raise BrokerUnreachable(
                f"RabbitMQ at {self._config.address} let go while a consumer was made: {error}"
            ) from error
        for stream in self._streams:
            keeper = asyncio.create_task(stream.keep(on_revoke), name="dispytch-rabbitmq-stream")
            keeper.add_done_callback(self._keeper_ended)
            self._keepers.append(keeper)

    async def close(self) -> None:
        """Leave the group: tell what is settled, then give back what is not."""
        self.stop_receiving()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(
            *(stream.current.close() for stream in self._streams), return_exceptions=True
        )
        await self._link.close()

    async def receive(self) -> Sequence[Delivery]:
        """The next deliveries, of all queues in turn."""
        while not self._stopped:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            if batch := self._take():
                return batch
            await self._arrived.wait()
        return ()

    def ack(self, delivery: Delivery) -> None:
        """The delivery's outcome is durable."""
        _consumption(delivery.lease).ack(delivery.position)
        if not self._shared_out:
            self._arrived.set()

    def nack(self, delivery: Delivery) -> None:
        """Give the delivery back to its queue."""
        _consumption(delivery.lease).nack(delivery.position)
        if not self._shared_out:
            self._arrived.set()

    async def flush(self) -> None:
        """Return once the broker has every settlement so far."""
        await asyncio.gather(*(stream.current.flush() for stream in self._streams))

    def pause(self, lease: Lease) -> None:
        """Hand out nothing of this queue; the broker's prefetch bounds what is held back."""
        _consumption(lease).paused = True

    def resume(self, lease: Lease) -> None:
        """Hand out deliveries of this queue again."""
        _consumption(lease).paused = False
        self._arrived.set()

    def stop_receiving(self) -> None:
        """Hand out nothing more, for good."""
        if not self._stopped:
            self._stopped = True
            for stream in self._streams:
                stream.stop()
            self._arrived.set()

    def _take(self) -> list[Delivery]:
        ready = [stream.current for stream in self._streams if stream.current.ready]
        if len(ready) == 1 and self._shared_out:
            batch = list(ready[0].buffer)
            ready[0].buffer.clear()
            return batch
        return self._take_in_turn(ready)

    def _take_in_turn(self, ready: list[Consumption]) -> list[Delivery]:
        room = self._room()
        batch: list[Delivery] = []
        while ready and len(batch) < room:
            for consumption in ready[: room - len(batch)]:
                batch.append(consumption.buffer.popleft())
            ready = [consumption for consumption in ready if consumption.buffer]
        return batch

    def _room(self) -> int:
        return self._max_in_flight - sum(stream.current.handed_out for stream in self._streams)

    def _keeper_ended(self, keeper: asyncio.Task[None]) -> None:
        if keeper.cancelled() or (error := keeper.exception()) is None:
            return
        if not isinstance(error, DispytchError):
            failure = TransportError(f"a RabbitMQ queue can no longer be consumed: {error!r}")
            failure.__cause__ = error
            error = failure
        self._failure = self._failure or error
        self._arrived.set()


def _consumption(lease: Lease) -> Consumption:
    assert isinstance(lease, QueueLease)
    assert lease.consumption is not None
    return lease.consumption
