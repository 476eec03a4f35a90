"""The partitions of one topic, shared evenly by the members of a group.

Every member consumes every partition; the broker lets one of them have it and the others stand by,
so a partition passes on at once when its holder ends. Each member finds out by probes what it
holds, looks by itself whether that is more than its share, and gives the surplus up. Members that
disagree for a while cost nothing but time: the broker never lets two of them have one partition.

They do so on another connection than that of the acks, as probes are published: a broker that is
short of memory no longer reads from a connection that publishes.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

from dispytch.rabbitmq.closing import close_all
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.consumption import Consumption
from dispytch.rabbitmq.declaring import declare_roster, translated
from dispytch.rabbitmq.driver import Channel, Delivered
from dispytch.rabbitmq.failures import AmqpError, ChannelClosed, translated_failures
from dispytch.rabbitmq.link import Link, backoff
from dispytch.rabbitmq.probes import send_probe
from dispytch.rabbitmq.stream import QueueStream
from dispytch.transport import OnRevoke

logger: logging.Logger = logging.getLogger("dispytch.rabbitmq")

LOOK_EVERY = 0.25
"""Seconds between two looks at how many members there are."""

LACKING_AFTER = 30.0
"""Seconds after which holding less than a fair share is a problem."""

SHARE_WITHIN = 4 * LOOK_EVERY
"""Seconds that a new member gives the others to give up what is its share."""


def share(partitions: int, members: int) -> int:
    """The most partitions that one of so many members holds."""
    return -(-partitions // max(1, members))


class Partitions:
    """The partitions of one topic, as one member has them.

    The members are counted as the consumers of a queue without messages, the roster, because the
    broker does not count those that stand by at a quorum queue.
    """

    def __init__(
        self, roster: str, streams: Sequence[QueueStream], link: Link, config: RabbitMQConfig
    ) -> None:
        self.roster: str = roster
        self._lacking_since: float | None = None
        self._streams = streams
        self._link = link
        self._config = config
        self._probed: set[Consumption] = set()
        self._probing: set[asyncio.Task[None]] = set()
        self._channel: Channel | None = None
        self.members: int = 1
        """How many members there were at the last look, this one included."""

    @property
    def settled(self) -> bool:
        """Whether this member holds as many as it may expect to."""
        held = sum(stream.held for stream in self._streams)
        return held >= len(self._streams) // self.members

    @property
    def problem(self) -> str | None:
        """Why it holds less than it may expect to, or None."""
        if (away := self._link.away) is not None:
            return f"the members of the group cannot be counted at {self.roster}: {away}"
        if self.settled:
            self._lacking_since = None
            return None
        since = self._lacking_since = self._lacking_since or time.monotonic()
        if (lasts := time.monotonic() - since) < LACKING_AFTER:
            return None
        held = sum(stream.held for stream in self._streams)
        return (
            f"it holds {held} of the {len(self._streams)} partitions of {self.roster}, for "
            f"{lasts:.0f} s, although {self.members} members share them: see who consumes the "
            "others, and whether they have a leader"
        )

    async def open(self) -> None:
        """Be counted as a member, and find out what it holds.

        Raises:
            TopologyError: the roster is missing or may not be declared.
            AmqpError: it failed this time.
        """

        async def join(channel: Channel) -> None:
            await declare_roster(channel, self.roster, self._config)
            with translated_failures():
                await channel.basic_consume(self.roster, _ignored, no_ack=True)
            await self._look(channel)

        try:
            await self._link.channel(join)
        except ChannelClosed as error:
            raise translated(error, f"queue {self.roster!r}", self._config) from error

    def close(self) -> None:
        """Send no more probes; it is a member until its link is closed."""
        for sending in self._probing:
            sending.cancel()

    async def keep(self, on_revoke: OnRevoke) -> None:
        """Give up what is more than a fair share, and be counted again when that was lost."""
        while True:
            try:
                await self._keep_sharing(on_revoke)
            except AmqpError as error:
                logger.info("members of the group, at %s: %s", self.roster, error)
            for wait in backoff():
                await asyncio.sleep(wait)
                with contextlib.suppress(AmqpError):
                    await self.open()
                    break

    async def _keep_sharing(self, on_revoke: OnRevoke) -> None:
        while self._channel is not None:
            await asyncio.sleep(LOOK_EVERY)
            await self._look(self._channel)
            held = [stream for stream in self._streams if stream.held]
            held.sort(key=lambda stream: stream.current.active_since or 0.0)
            if surplus := held[share(len(self._streams), self.members) :]:
                await self._give_up(surplus, on_revoke)

    async def _give_up(self, streams: Sequence[QueueStream], on_revoke: OnRevoke) -> None:
        """Have these partitions drained by core, then leave them to whoever stands by."""
        consumptions = [stream.current for stream in streams]
        drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for consumption in consumptions:
            consumption.given_up = drained
            consumption.stop()
        names = ", ".join(consumption.lease.stream for consumption in consumptions)
        logger.info("giving up %s, as other members share the group", names)
        try:
            await on_revoke([consumption.lease for consumption in consumptions])
        finally:
            drained.set_result(None)
        await close_all(consumptions, self._link, self._config)

    async def _look(self, channel: Channel) -> None:
        with translated_failures():
            counted = await channel.queue_declare(self.roster, passive=True)
        members = counted.consumer_count or 1
        if members != self.members:
            # What a member that has left was holding is somebody's now.
            self._probed.clear()
        self._channel, self.members = channel, members
        consumptions = {stream.current for stream in self._streams if not stream.held}
        for consumption in consumptions - self._probed:
            self._probe(channel, consumption.lease.stream)
        self._probed = consumptions

    def _probe(self, channel: Channel, queue: str) -> None:
        # Nobody waits for it: a broker that is short of memory does not take it before it is not.
        sending = asyncio.create_task(_sent(channel, queue), name="dispytch-rabbitmq-probe")
        self._probing.add(sending)
        sending.add_done_callback(self._probing.discard)


async def _sent(channel: Channel, queue: str) -> None:
    with contextlib.suppress(AmqpError):
        await send_probe(channel, queue)


async def _ignored(_: Delivered) -> None:
    """Nothing is ever sent to the roster."""
