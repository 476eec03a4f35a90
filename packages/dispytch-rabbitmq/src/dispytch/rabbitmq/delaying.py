"""The delay queues that a producer has made sure of."""

import asyncio
from collections.abc import Iterable
from typing import Final

from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.declaring import declare_exchange, translated
from dispytch.rabbitmq.delays import DelayQueue
from dispytch.rabbitmq.driver import Channel, close_channel, server_version
from dispytch.rabbitmq.failures import AmqpError, ChannelClosed, translated_failures
from dispytch.rabbitmq.link import Link, backoff

REMEMBERED: Final = 10_000
"""How many delay queues are known to stand before all of them are forgotten."""


class DelayQueues:
    """The delay queues that stand, as far as is known; the others are declared when needed."""

    def __init__(self, config: RabbitMQConfig, link: Link) -> None:
        self._config = config
        self._link = link
        self._standing: set[DelayQueue] = set()
        self._declaring = asyncio.Lock()

    async def ensure(self, queues: Iterable[DelayQueue]) -> None:
        """Return when all of them stand, as the `Declare` mode says; wait for the broker.

        Raises:
            TopologyError: one is missing, differs, or may not be declared.
        """
        wanted = set(queues)
        if self._config.declare == "never" or wanted <= self._standing:
            return
        async with self._declaring:
            for wait in backoff():
                try:
                    if missing := wanted - self._standing:
                        await self._declare(missing)
                except AmqpError:
                    await asyncio.sleep(wait)
                else:
                    return

    def forget(self, queues: Iterable[DelayQueue]) -> None:
        """They don't stand any more."""
        self._standing.difference_update(queues)

    async def _declare(self, queues: set[DelayQueue]) -> None:
        async def prepare(channel: Channel) -> None:
            await declare_exchange(channel, self._config)
            for queue in sorted(queues, key=lambda queue: queue.name):
                await self._declare_one(channel, queue)
            await close_channel(channel)

        if len(self._standing) >= REMEMBERED:
            # They are declared once more when they are needed.
            self._standing.clear()
        await self._link.channel(prepare)

    async def _declare_one(self, channel: Channel, queue: DelayQueue) -> None:
        passive = self._config.declare == "check"
        arguments = {} if passive else queue.arguments(server_version(channel))
        try:
            with translated_failures():
                await channel.queue_declare(
                    queue.name, passive=passive, durable=True, arguments=arguments
                )
        except ChannelClosed as error:
            raise translated(error, f"delay queue {queue.name!r}", self._config) from error
        self._standing.add(queue)
