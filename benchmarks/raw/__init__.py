"""What one would write by hand on the drivers, without dispytch."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from dispytch.backends import backend_from
from dispytch.transport import Topology

from ..orders import Order, new_name

Send = Callable[[Sequence[Order]], Awaitable[object]]
"""Sends a batch; returns once the broker has confirmed all of it."""


class Raw(Protocol):
    """A driver, used by hand."""

    name: str

    async def consume(self, topic: str, group: str, events: int) -> float:
        """Seconds for a loop that receives, validates, awaits a handler and settles."""
        ...

    def sender(self, topic: str) -> AbstractAsyncContextManager[Send]:
        """A connected way to send, each batch pipelined."""
        ...

    async def forget(self, topic: str, group: str) -> None:
        """Delete what a measurement leaves at the broker."""
        ...


def raw_for(url: str) -> Raw:
    """The driver for the broker that a URL names."""
    scheme = url.partition("://")[0]
    if scheme == "kafka":
        from .kafka import RawKafka

        return RawKafka(url)
    if scheme in ("rabbitmq", "amqp"):
        from .rabbitmq import RawRabbitMQ

        return RawRabbitMQ(url)
    raise SystemExit(f"there is no raw driver for {scheme!r}: give kafka://... or rabbitmq://...")


@asynccontextmanager
async def borrowed(url: str, raw: Raw) -> AsyncIterator[tuple[str, str]]:
    """A topic and a group that nobody else has, made before and deleted after."""
    topic, group = new_name(), new_name()
    await backend_from(url).prepare(Topology(topics=(topic,), group=group))
    try:
        yield topic, group
    finally:
        await raw.forget(topic, group)
