"""How many messages wait in queues."""

from collections.abc import Iterable

from dispytch.rabbitmq.driver import Channel, close_channel
from dispytch.rabbitmq.failures import NOT_FOUND, ChannelClosed, translated_failures
from dispytch.rabbitmq.link import Link


async def ready_messages(link: Link, queues: Iterable[str]) -> dict[str, int]:
    """The messages of each queue that the broker has handed to nobody; none for a missing queue.

    It asks on a channel of its own, which the broker closes where a queue is missing.

    Raises:
        AmqpError: the connection has ended.
    """
    left, counts = list(queues), dict[str, int]()

    async def count(channel: Channel) -> None:
        with translated_failures():
            while left:
                counted = await channel.queue_declare(left[0], passive=True)
                counts[left.pop(0)] = counted.message_count or 0
        await close_channel(channel)

    while left:
        try:
            await link.channel(count)
        except ChannelClosed as error:
            if error.code != NOT_FOUND:
                raise
            left.pop(0)
    return counts
