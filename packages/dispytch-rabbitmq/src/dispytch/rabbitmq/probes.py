"""Empty messages that members send to partitions, to see who holds them.

The broker does not tell a consumer that it is the active one. So a member sends a probe where it
does not know: whoever receives it holds the partition, acks it and hands it to nobody.
"""

from typing import Final

from dispytch.rabbitmq.driver import Channel, Delivered, Properties
from dispytch.rabbitmq.failures import translated_failures

_PROBE: Final = "dispytch.probe"
_EXPIRES: Final = "60000"
"""Milliseconds after which nobody is interested any more."""


async def send_probe(channel: Channel, queue: str) -> None:
    """Send one straight to a queue.

    Raises:
        AmqpError: the channel has ended.
    """
    properties = Properties(message_type=_PROBE, expiration=_EXPIRES)
    with translated_failures():
        await channel.basic_publish(b"", exchange="", routing_key=queue, properties=properties)


def is_probe(delivered: Delivered) -> bool:
    """Whether a message is a probe, sent straight to its queue."""
    return not delivered.exchange and delivered.header.properties.message_type == _PROBE
