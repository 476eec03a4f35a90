"""Keeping events that no queue takes yet, for the first group that comes to their topic."""

import asyncio
from collections.abc import Sequence
from typing import Final

from dispytch.exceptions import TopologyError, Unroutable
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.confirms import Confirms
from dispytch.rabbitmq.driver import Channel, NotTaken, Returned, close_channel
from dispytch.rabbitmq.failures import AmqpError
from dispytch.rabbitmq.keeping import Held, declare_index, declare_kept, kept_keys, locked
from dispytch.rabbitmq.link import Link
from dispytch.rabbitmq.outgoing import Outgoing
from dispytch.rabbitmq.topology import KEPT_EVENTS, KEPT_TOPICS, kept_index, kept_queue

AT_ONCE: Final = 500
"""How many events are stored before the lock is left to others."""


class Keeper:
    """Stores events that have come back, confirmed and in their order; see `keeping`."""

    def __init__(self, config: RabbitMQConfig) -> None:
        self._config = config
        self._link = Link(config, "keeper")

    async def keep(self, key: str, messages: Sequence[Outgoing]) -> bool:
        """Store the events of a routing key, the oldest first; False: a queue takes it by now.

        Then the first event has gone there, and the others are to follow. Otherwise each of those
        that were stored has its outcome.

        Raises:
            Unroutable: they cannot be kept.
            AmqpError: it failed this time; what has no outcome is to be tried again.
        """
        messages = messages[:AT_ONCE]
        try:
            async with locked(self._link, self._config, self._config.send_timeout):
                storing = _Storing(self._config, key, messages)
                await self._link.channel(storing.look)
                if not storing.routed:
                    await self._make_sure(key)
                    await self._link.channel(storing.store)
        except (TopologyError, Held) as error:
            raise Unroutable(
                f"no queue takes events with routing key {key!r}, and they cannot be kept: "
                f"{error}; or use unroutable='error', and start listeners first"
            ) from error
        return not storing.routed

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def _make_sure(self, key: str) -> None:
        """See that the queue is there, and that the index has it."""
        name = kept_queue(self._config.exchange, key)
        await self._link.channel(lambda channel: self._declare(channel, name))
        if key in await kept_keys(self._link, self._config):
            return
        entry = Outgoing.to_queue(kept_index(self._config.exchange), key.encode())

        async def note(channel: Channel) -> None:
            confirms = Confirms(channel)
            try:
                await confirms.wait(confirms.publisher.publish(entry))
            except Returned as error:
                raise AmqpError("the index of what is kept has gone") from error
            except NotTaken as error:
                raise Unroutable(
                    f"no queue takes events with routing key {key!r}, and those of no more than "
                    f"{KEPT_TOPICS} keys are kept: start listeners for their topics"
                ) from error
            await close_channel(channel)

        await self._link.channel(note)

    async def _declare(self, channel: Channel, name: str) -> None:
        await declare_index(channel, self._config)
        await declare_kept(channel, name, self._config, KEPT_EVENTS)
        await close_channel(channel)


class _Storing:
    """The events of one routing key, on their way into the queue that keeps them."""

    def __init__(self, config: RabbitMQConfig, key: str, messages: Sequence[Outgoing]) -> None:
        self._name = kept_queue(config.exchange, key)
        self._key = key
        self._messages = messages
        self.routed = False

    async def look(self, channel: Channel) -> None:
        """Send the first one again: a queue may take it by now."""
        first = self._messages[0]
        confirms = Confirms(channel)
        try:
            await confirms.wait(confirms.publisher.publish(first))
        except Returned:
            """Nobody takes it: it is to be kept."""
        except NotTaken as error:
            raise AmqpError("a queue has refused the event") from error
        else:
            first.settle(None)
            self.routed = True
        await close_channel(channel)

    async def store(self, channel: Channel) -> None:
        """Store all of them."""
        confirms = Confirms(channel)
        sent: list[tuple[Outgoing, asyncio.Future[object]]] = []
        for message in self._messages:
            kept = message.to_be_kept(self._name)
            if (twin := confirms.publisher.twin(kept)) is not None:
                await confirms.settled(twin)
            sent.append((message, confirms.publisher.publish(kept)))
        for message, confirmation in sent:
            try:
                await confirms.wait(confirmation)
            except Returned as error:
                raise AmqpError(f"queue {self._name!r} has gone") from error
            except NotTaken as error:
                message.settle(self._full(error))
            else:
                message.settle(None)
        await close_channel(channel)

    def _full(self, error: NotTaken) -> Unroutable:
        full = Unroutable(
            f"no queue takes events with routing key {self._key!r}, and the queue that keeps them, "
            f"{self._name!r}, is full: start a listener for their topic"
        )
        full.__cause__ = error
        return full
