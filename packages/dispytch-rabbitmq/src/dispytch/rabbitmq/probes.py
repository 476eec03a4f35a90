"""Empty messages that a member sends straight to a queue; it acks those it receives itself.

The broker does not tell a consumer that it is the active one of a partition. So a member sends a
probe where it does not know: whoever receives it holds the partition.

Nor does a quorum queue tell when it has what a channel has settled, and the broker's side of a
channel may drop settlements that it still keeps when the channel is closed. A queue that confirms a
probe has all that the channel told it before; see `send_flush`.
"""

from typing import Final

from dispytch.rabbitmq.driver import Channel, Delivered, Properties, close_channel
from dispytch.rabbitmq.failures import translated_failures

_PROBE: Final = "dispytch.probe"
_EXPIRES: Final = "60000"
"""Milliseconds after which nobody is interested any more."""

_MARKS: Final = "3600000"
"""Milliseconds within which a reader gets to the end, from where it has its marker; one whose
reader is gone is taken away by the next one."""

_AT_ONCE: Final = "0"
_NO_QUEUE: Final = "dispytch.#.nobody"


async def send_probe(channel: Channel, queue: str) -> None:
    """Send one straight to a queue.

    Raises:
        AmqpError: the channel has ended.
    """
    properties = Properties(message_type=_PROBE, expiration=_EXPIRES)
    with translated_failures():
        await channel.basic_publish(b"", exchange="", routing_key=queue, properties=properties)


async def send_marker(channel: Channel, queue: str, token: str) -> None:
    """Send one to mark where a queue ends now: what lies before it is delivered before it.

    Raises:
        AmqpError: the channel has ended, as when the user may not publish to the default exchange.
    """
    properties = Properties(message_type=_PROBE, expiration=_MARKS, message_id=token)
    with translated_failures():
        await channel.basic_publish(b"", exchange="", routing_key=queue, properties=properties)


def is_probe(delivered: Delivered, properties: Properties) -> bool:
    """Whether a message is a probe, sent straight to its queue."""
    return not delivered.exchange and properties.message_type == _PROBE


async def send_flush(channel: Channel, queue: str) -> None:
    """Return once a quorum queue has applied every settlement that was told on this channel.

    The probe expires at once, so that nothing is left of it.

    Raises:
        AmqpError: the channel has ended, as when the user may not publish to the default exchange,
            or the queue refused the probe.
    """
    properties = Properties(message_type=_PROBE, expiration=_AT_ONCE)
    with translated_failures():
        await channel.basic_publish(b"", exchange="", routing_key=queue, properties=properties)


async def check_may_probe(channel: Channel) -> None:
    """Return if the user may publish to queues, and the broker goes on reading after that.

    A broker that is short of memory stops reading from a connection that has published.

    Raises:
        ChannelClosed: the user may not.
        AmqpError: the channel has ended for another reason.
    """
    await send_flush(channel, _NO_QUEUE)
    with translated_failures():
        await channel.basic_qos(prefetch_count=0)
    await close_channel(channel)
