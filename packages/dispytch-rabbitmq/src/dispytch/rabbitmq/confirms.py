"""Publishing on a channel of one's own, a few messages at a time, and waiting for each."""

import asyncio
from typing import Any

from dispytch.rabbitmq.driver import Channel, when_ended
from dispytch.rabbitmq.failures import AmqpError
from dispytch.rabbitmq.publisher import Publisher


class Confirms:
    """The broker's word on what is published on a channel, for as long as that lives."""

    def __init__(self, channel: Channel) -> None:
        self.publisher: Publisher = Publisher(channel)
        self.over: asyncio.Future[AmqpError] = asyncio.get_running_loop().create_future()
        when_ended(channel, self._end)

    async def wait(self, confirmation: "asyncio.Future[object]") -> None:
        """Return when the broker has taken the message.

        Raises:
            Returned, NotTaken: it has not; of `dispytch.rabbitmq.driver`.
            AmqpError: the channel has ended.
        """
        await self.settled(confirmation)
        if not confirmation.done():
            raise self.over.result()
        confirmation.result()

    async def settled(self, confirmation: "asyncio.Future[object]") -> None:
        """Return when the broker has said anything, or the channel has ended."""
        if not confirmation.done():
            either: set[asyncio.Future[Any]] = {confirmation, self.over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    def _end(self, error: AmqpError) -> None:
        if not self.over.done():
            self.over.set_result(error)
