"""One queue of a group, consumed again whenever its channel, its queue or the broker was lost."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

from dispytch.exceptions import GroupTaken, TopologyError, TransportError
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.consumption import Consumption, QueueGone
from dispytch.rabbitmq.declaring import declare_exchange, declare_queue, translated
from dispytch.rabbitmq.driver import Channel, close_channel
from dispytch.rabbitmq.failures import AmqpError, ChannelClosed, translated_failures
from dispytch.rabbitmq.lag import ready_messages
from dispytch.rabbitmq.link import Link, backoff
from dispytch.rabbitmq.losses import Losses
from dispytch.rabbitmq.takeover import make_queues
from dispytch.rabbitmq.topology import GroupQueue
from dispytch.transport import OnRevoke

logger: logging.Logger = logging.getLogger("dispytch.rabbitmq")

_GHOST_LOOKS: Final = 20
_GHOST_PAUSE: Final = 0.1
_DELETION_LOOKS: Final = 10
_DELETION_PAUSE: Final = 0.1


class QueueStream:
    """One queue of a group; `current` is what is being consumed of it, or was last."""

    def __init__(
        self,
        queue: GroupQueue,
        prefetch: int,
        link: Link,
        config: RabbitMQConfig,
        arrived: Callable[[], None],
        *,
        bounded: bool = False,
    ) -> None:
        """One of a subscription; ``bounded``: it is consumed to where it ends when it is opened."""
        self._queue = queue
        self._prefetch = prefetch
        self._link = link
        self._config = config
        self._arrived = arrived
        self._stopped = False
        self._bounded = bounded
        self._losses = Losses(queue.name, time.monotonic)
        self.current: Consumption = self._consumption()

    @property
    def held(self) -> bool:
        """Whether its messages come to this consumer.

        A partition is held from its first delivery on: the broker does not tell sooner.
        """
        if self._queue.hash_exchange is not None and self.current.active_since is None:
            return False
        return self.current.holds

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._queue.name

    @property
    def problem(self) -> str | None:
        """Why nothing comes of it, or nothing that is settled; None while all is well."""
        return self._losses.problem(progressed=self.current.progressed) or self.current.problem

    async def open(self, *, again: bool = False) -> None:
        """Consume the queue, declared as the mode says, under a new lease.

        again: after the one before was lost.

        Raises:
            TopologyError, BrokerUnreachable: it cannot be done, and waiting does not help.
            AmqpError: it failed this time.
        """
        consumption = self._consumption()
        if again:
            await self._make_again()

        async def prepare(channel: Channel) -> None:
            await declare_exchange(channel, self._config)
            await declare_queue(channel, self._queue, self._config)
            if again and self._queue.hash_exchange is None and not self._queue.exclusive:
                await self._outwait_the_lost(channel)
            if self._bounded and not await self._outwait_the_lost(channel):
                raise GroupTaken(
                    f"queue {self._queue.name!r} at {self._config.address} has a consumer, and "
                    "only one may read it: end it, or try again when it has ended"
                )
            if self._bounded:
                # Before it consumes: then what comes keeps the channel busy.
                await consumption.mark_the_end(channel)
            await consumption.start(channel)

        try:
            await self._link.channel(prepare)
        except ChannelClosed as error:
            made = self._config.declare == "auto" and not self._queue.is_former
            raise translated(
                error, f"queue {self._queue.name!r}", self._config, made=made
            ) from error
        self.current = consumption
        if self._stopped:
            consumption.stop()

    async def keep_to_the_end(self) -> None:
        """Have the lease once, and no other.

        Raises:
            TransportError: it was lost before `stop` was called.
        """
        reason = await asyncio.shield(self.current.over)
        if not self._stopped:
            raise TransportError(
                f"queue {self._queue.name!r} at {self._config.address} could not be read to its "
                f"end: {reason}; nothing is lost, try again"
            )

    async def keep(self, on_revoke: OnRevoke) -> None:
        """Whenever the lease is lost, have its deliveries dropped and take a new one.

        Returns once `stop` was called and the lease is lost, or a former queue was deleted.

        Raises:
            DispytchError: there will never be a new one.
        """
        while not self._stopped:
            lost = self.current
            reason = await asyncio.shield(lost.over)
            if lost.given_up is not None:
                await asyncio.shield(lost.given_up)
            else:
                logger.warning("queue %s: %s", self._queue.name, reason)
                self._losses.lost(str(reason), progressed=lost.progressed)
                await on_revoke([lost.lease])
            if not self._stopped:
                with contextlib.suppress(AmqpError):
                    await lost.close()
                if isinstance(reason, QueueGone):
                    await self._outwait_the_deletion()
                try:
                    await self._open_again()
                except TopologyError as error:
                    if not self._queue.is_former:
                        raise
                    logger.info(
                        "queue %s is given up, as nothing comes there: %s", self._queue.name, error
                    )
                    return

    def stop(self) -> None:
        """Take nothing more from the queue, for good."""
        self._stopped = True
        self.current.stop()

    async def _make_again(self) -> None:
        """Make the queue if it was deleted, with what nobody took meanwhile."""
        queue, config = self._queue, self._config
        if config.declare != "auto" or queue.exclusive or queue.is_former:
            return
        if queue.name in await ready_messages(self._link, [queue.name]):
            return
        link = Link(config, "topology")
        try:
            await link.channel(self._declare_exchange)
            await make_queues(link, [queue], config)
        finally:
            await link.close()

    async def _declare_exchange(self, channel: Channel) -> None:
        await declare_exchange(channel, self._config)
        await close_channel(channel)

    async def _open_again(self) -> None:
        await asyncio.sleep(self._losses.pause)
        for wait in backoff():
            try:
                await self.open(again=True)
            except AmqpError as error:
                self._losses.failed(str(error))
                logger.warning(
                    "queue %s: %s; trying again in %.1f s", self._queue.name, error, wait
                )
                await asyncio.sleep(wait)
            else:
                self._losses.back()
                logger.info("queue %s: consuming again", self._queue.name)
                return

    async def _outwait_the_deletion(self) -> None:
        """Wait until a queue that is being deleted is gone, or as long as that should take.

        RabbitMQ 4 tells the consumer first. A queue that is declared again too early may vanish
        with the old one, or stay and hand nothing out.
        """
        for _ in range(_DELETION_LOOKS):
            await asyncio.sleep(_DELETION_PAUSE)
            with contextlib.suppress(AmqpError):
                if not await ready_messages(self._link, [self._queue.name]):
                    return

    async def _outwait_the_lost(self, channel: Channel) -> bool:
        """Wait until the queue has no consumer, or as long as one of its own may be a ghost.

        Returns whether it has none.

        A queue that has just come back may still count the consumer whose connection is lost.
        What that has not settled goes back only when it is missed: whoever consumed before then
        would get what is newer first. Other members look the same, so this does not insist.
        """
        for _ in range(_GHOST_LOOKS):
            with translated_failures():
                queue = await channel.queue_declare(self._queue.name, passive=True)
            if not queue.consumer_count:
                return True
            await asyncio.sleep(_GHOST_PAUSE)
        return False

    def _consumption(self) -> Consumption:
        return Consumption(self._queue, self._prefetch, self._arrived)
