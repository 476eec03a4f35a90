"""Receiving: the queues of a group, taken from in turn."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from dispytch.exceptions import BrokerUnreachable, DispytchError, GroupTaken, TransportError
from dispytch.messages import Delivery, Lease
from dispytch.rabbitmq.closing import close_all
from dispytch.rabbitmq.config import RabbitMQConfig, queues_of
from dispytch.rabbitmq.consumption import Consumption, QueueLease
from dispytch.rabbitmq.declaring import translated
from dispytch.rabbitmq.driver import Channel
from dispytch.rabbitmq.failures import LOCKED, AmqpError, ChannelClosed, translated_failures
from dispytch.rabbitmq.keeping_order import close_in_order
from dispytch.rabbitmq.lag import ready_messages
from dispytch.rabbitmq.link import Link
from dispytch.rabbitmq.partitions import SHARE_WITHIN, Partitions
from dispytch.rabbitmq.starving import Starving
from dispytch.rabbitmq.stream import QueueStream
from dispytch.rabbitmq.topology import GroupQueue, reader_name, roster_name, temporary_queues
from dispytch.transport import CONNECTION, Consumer, OnRevoke, Subscription

PREFETCH_MAX = 65535
_TURNS: Final = 4
"""For how many turns of the event loop a hand-out waits for more."""


class RabbitMQConsumer(Consumer):
    """A member of a group: one channel for each queue, so that each has its own window and tags."""

    def __init__(
        self,
        config: RabbitMQConfig,
        subscription: Subscription,
        former: Sequence[GroupQueue] = (),
    ) -> None:
        """One for a subscription, which empties ``former`` queues of the group as well."""
        own = (
            temporary_queues(subscription.topics, subscription.group)
            if subscription.temporary
            else queues_of(subscription.group, subscription.topics, subscription.patterns, config)
        )
        queues = [*own, *former]
        self._config = config
        self._link = Link(config, f"consumer {subscription.group}")
        self._member_link = Link(config, f"member {subscription.group}")
        self._bounded = subscription.bounded
        shares = 1 if self._bounded else max(1, len(queues))
        # A place more for the marker of the end.
        window = subscription.max_in_flight + self._bounded
        share = min(PREFETCH_MAX, max(1, window // shares))
        self._max_in_flight = subscription.max_in_flight
        self._shared_out = share * len(queues) <= subscription.max_in_flight
        self._arrived = asyncio.Event()
        self._streams = [
            QueueStream(queue, share, self._link, config, self._arrived.set, bounded=self._bounded)
            for queue in queues
        ]
        self._partitions = [] if self._bounded else self._shared(queues)
        self._starving = Starving()
        self._keepers: list[asyncio.Task[None]] = []
        self._failure: Exception | None = None
        self._stopped = False

    async def open(self, on_revoke: OnRevoke) -> None:
        """Connect and consume; from then on, keep doing so.

        Raises:
            BrokerUnreachable, TopologyError: as `Backend.consumer` says.
        """
        await self._link.open()
        if self._partitions:
            await self._member_link.open()
        try:
            if self._bounded:
                await self._link.channel(self._lock)
            for stream in self._streams:
                await stream.open()
            for partitions in self._partitions:
                await partitions.open()
        except AmqpError as error:
            raise BrokerUnreachable(
                f"RabbitMQ at {self._config.address} let go while a consumer was made: {error}"
            ) from error
        keeping = [
            *(
                stream.keep_to_the_end() if self._bounded else stream.keep(on_revoke)
                for stream in self._streams
            ),
            *(partitions.keep(on_revoke) for partitions in self._partitions),
        ]
        for keep in keeping:
            keeper = asyncio.create_task(keep, name="dispytch-rabbitmq-stream")
            keeper.add_done_callback(self._keeper_ended)
            self._keepers.append(keeper)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHARE_WITHIN):
                while not all(partitions.settled for partitions in self._partitions):
                    self._arrived.clear()
                    await self._arrived.wait()

    async def close(self) -> None:
        """Leave the group: tell what is settled, then give back what is not."""
        self.stop_receiving()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if self._bounded:
            for stream in self._streams:
                await close_in_order(stream.current, self._link)
        await close_all([stream.current for stream in self._streams], self._link, self._config)
        for partitions in self._partitions:
            partitions.close()
        # Only now, as the others then look who holds what this member has left.
        await self._member_link.close()
        await self._link.close()

    async def receive(self) -> Sequence[Delivery]:
        """The next deliveries, of all queues in turn."""
        while not self._stopped:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            if batch := self._take():
                return batch
            if self._bounded and self._is_over():
                break
            await self._arrived.wait()
            # The driver brings one message at a time: let those behind it arrive, too.
            for _ in range(_TURNS):
                await asyncio.sleep(0)
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

    @property
    def leases(self) -> Collection[Lease]:
        """Of each queue that it consumes; of partitions, those that have delivered to it."""
        return [stream.current.lease for stream in self._streams if stream.held]

    async def lag(self) -> Mapping[str, int]:
        """The messages that are ready in each queue, or fetched and not handed out."""
        held = [stream.current for stream in self._streams if stream.held]
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                ready = await ready_messages(self._link, [each.lease.stream for each in held])
        except (TimeoutError, AmqpError) as error:
            raise BrokerUnreachable(
                f"RabbitMQ at {self._config.address} does not say how long its queues are: "
                f"{str(error) or f'no answer within {self._config.connect_timeout:g} s'}"
            ) from error
        self._starving.look(held, ready)
        return {
            each.lease.stream: ready[each.lease.stream] + len(each.buffer)
            for each in held
            if each.lease.stream in ready
        }

    @property
    def problems(self) -> Mapping[str, str]:
        """See `Consumer.problems`: a broker that is away, and queues of which nothing comes."""
        if self._stopped:
            return {}
        if (away := self._link.away) is not None:
            return {CONNECTION: away}
        told = {f"queue {stream.name}": stream.problem for stream in self._streams}
        told |= {f"queue {name}": starved for name, starved in self._starving.problems.items()}
        told |= {each.roster: each.problem for each in self._partitions}
        return {name: sentence for name, sentence in told.items() if sentence is not None}

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

    async def _lock(self, channel: Channel) -> None:
        """Have the queues for this connection alone, for as long as it lasts."""
        for stream in self._streams:
            try:
                with translated_failures():
                    await channel.queue_declare(
                        reader_name(stream.name),
                        exclusive=True,
                        arguments={"x-queue-type": "classic"},
                    )
            except ChannelClosed as error:
                if error.code != LOCKED:
                    raise translated(error, f"queue {stream.name!r}", self._config) from error
                raise GroupTaken(
                    f"queue {stream.name!r} at {self._config.address} is being read by another "
                    f"reader, and only one may: try again when it has ended ({error.text})"
                ) from error

    def _is_over(self) -> bool:
        """Whether all has been handed out that was there when it was opened.

        Raises:
            TransportError: more lies there than the broker hands out before the first is settled.
        """
        if all(stream.current.has_ended for stream in self._streams):
            return True
        full = [one for one in self._streams if one.current.outstanding >= PREFETCH_MAX]
        if full:
            raise TransportError(
                f"queue {full[0].name!r} has more than {PREFETCH_MAX} messages, and RabbitMQ hands "
                f"out no more before some are settled: look at fewer at once"
            )
        return False

    def _shared(self, queues: Sequence[GroupQueue]) -> list[Partitions]:
        of_topic: dict[str, list[QueueStream]] = {}
        for queue, stream in zip(queues, self._streams, strict=True):
            if queue.hash_exchange is not None:
                of_topic.setdefault(roster_name(queue.hash_exchange), []).append(stream)
        return [
            Partitions(roster, streams, self._member_link, self._config)
            for roster, streams in of_topic.items()
        ]

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
