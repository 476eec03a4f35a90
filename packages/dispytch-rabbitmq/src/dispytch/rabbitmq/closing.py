"""Giving queues up without a settlement that is lost on its way.

A quorum queue takes settlements one after the other, and the broker's side of a channel keeps those
that have to wait. When the channel is closed it drops them, and their messages come again, although
they were acked. So a probe follows them on the same channel: a queue that confirms it has them all.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterable, Sequence
from typing import Final

from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.consumption import Consumption
from dispytch.rabbitmq.failures import ACCESS_REFUSED, AmqpError, ChannelClosed
from dispytch.rabbitmq.link import Link
from dispytch.rabbitmq.probes import check_may_probe

logger: logging.Logger = logging.getLogger("dispytch.rabbitmq")

MAY_PROBE_WITHIN: Final = 2.0
"""Seconds in which the broker must have said that probes may be sent."""

FLUSHED_WITHIN: Final = 10.0
"""Seconds in which every queue must have confirmed its probe."""


async def close_all(
    consumptions: Sequence[Consumption], link: Link, config: RabbitMQConfig
) -> None:
    """Tell what is settled, see that the queues have it, and close the channels.

    All channels are flushed before the first probe is sent: a broker that is short of memory reads
    nothing more from a connection once it has published.

    link: the connection on which is tried whether probes may be sent.
    """
    await _each(consumption.flush() for consumption in consumptions)
    unsure = [consumption for consumption in consumptions if consumption.is_unsure]
    if unsure and await _may_probe(link, config):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSHED_WITHIN):
                await _each(consumption.make_sure() for consumption in unsure)
    await _each(consumption.close() for consumption in consumptions)


async def _may_probe(link: Link, config: RabbitMQConfig) -> bool:
    if link.live is None:
        return False
    try:
        async with asyncio.timeout(MAY_PROBE_WITHIN):
            await link.channel(check_may_probe)
    except ChannelClosed as error:
        if error.code == ACCESS_REFUSED:
            logger.warning(
                "what was settled last may come again after this stop: user %r may not write to "
                "the default exchange of RabbitMQ at %s, by which the queues are asked whether "
                "they have it; grant write on 'amq.default' (%s)",
                config.user,
                config.address,
                error.text,
            )
        return False
    except (AmqpError, TimeoutError):
        return False
    return True


async def _each(doings: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*doings, return_exceptions=True)
