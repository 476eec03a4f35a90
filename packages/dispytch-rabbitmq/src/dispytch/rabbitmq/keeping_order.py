"""Giving messages back that were only looked at, so that the queue has its order again.

A quorum queue hands out what came back before anything else, and puts what comes back behind what
came back before. Once all of a queue has come back, a reader that takes some of it and gives that
back has moved it behind the rest. So the rest is taken out as well, unseen, and all goes back, the
first part first.
"""

import asyncio
import contextlib
from typing import Final

from dispytch.rabbitmq.consumption import Consumption
from dispytch.rabbitmq.driver import Channel, Delivered, close_channel
from dispytch.rabbitmq.failures import AmqpError, translated_failures
from dispytch.rabbitmq.link import Link

_PREFETCH: Final = 65_535
"""The most that can be asked for; what counts as unlimited is 2,000 for a quorum queue."""

_AT_MOST: Final = 60_000
"""So many can be taken out, at a second or so for each ten thousand."""

_WITHIN: Final = 30.0
_LOOK_AGAIN: Final = 0.01
_TAG: Final = "dispytch-rest"


async def close_in_order(consumption: Consumption, link: Link) -> None:
    """Close a consumption whose queue nobody else reads, so that its order stays.

    Where that cannot be done, as the connection is lost or it takes too long, it is closed all the
    same, and nothing is lost.
    """
    if consumption.has_ended or not (consumption.holds and consumption.is_quorum):
        await consumption.close()
        return
    opened: list[Channel] = []

    async def take_out(channel: Channel) -> None:
        opened.append(channel)

    with contextlib.suppress(AmqpError, TimeoutError):
        await link.channel(take_out)
        async with asyncio.timeout(_WITHIN):
            await _take_out_the_rest(consumption, opened[0])
    await consumption.close()
    for channel in opened:
        with contextlib.suppress(AmqpError):
            await close_channel(channel)


async def _take_out_the_rest(consumption: Consumption, channel: Channel) -> None:
    """Have all that is left in the queue, to the marker of its end, be handed out to a channel."""
    await consumption.flush()
    # Then its own channel gets nothing more, and what comes now lies behind all that it has.
    while not (consumption.is_full or consumption.has_ended or consumption.lease.ended):  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_AGAIN)
    if consumption.has_ended or consumption.lease.ended:
        return
    ended = asyncio.Event()

    async def taken(delivered: Delivered) -> None:
        if consumption.is_marker(delivered):
            await channel.basic_ack(delivered.delivery_tag or 0, wait=False)
            ended.set()

    with translated_failures():
        queue = await channel.queue_declare(consumption.lease.stream, passive=True)
        if (queue.message_count or 0) > _AT_MOST:
            return
        await channel.basic_qos(prefetch_count=_PREFETCH)
        await channel.basic_consume(consumption.lease.stream, taken, consumer_tag=_TAG)
        await ended.wait()
        await channel.basic_cancel(_TAG)
