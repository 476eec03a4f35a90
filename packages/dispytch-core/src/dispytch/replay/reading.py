"""Reading a topic from where a group stands to where it ends now."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from typing import Final

from dispytch.exceptions import TransportError
from dispytch.messages import Delivery, Lease
from dispytch.transport import Consumer

_LOOK_AGAIN: Final = 0.1
_ASSIGNED_WITHIN: Final = 20.0


async def nothing_to_revoke(leases: Collection[Lease]) -> None:
    """What a reader has to do when it loses a stream."""


async def until_the_end(
    consumer: Consumer, done_with: Collection[str] = ()
) -> AsyncGenerator[Delivery, None]:
    """What the consumer is handed, until nothing more waits for it; then its intake ends.

    For a consumer that does not know the end itself: it is asked how much waits, and one whose
    broker does not count what is on its way may end too early.

    ``done_with`` are streams of which nothing more is wanted; it may grow meanwhile.

    Raises:
        TransportError: the group has given this consumer nothing to read.
    """
    await _assigned(consumer)
    receiving = asyncio.ensure_future(consumer.receive())
    try:
        while True:
            done, _ = await asyncio.wait({receiving}, timeout=_LOOK_AGAIN)
            if done:
                batch = receiving.result()
                if not batch:
                    return
                for delivery in batch:
                    yield delivery
                receiving = asyncio.ensure_future(consumer.receive())
            elif not await _waiting(consumer, done_with) and not receiving.done():
                return
    finally:
        # It is never cancelled: this ends it, and what it brings stays unsettled.
        consumer.stop_receiving()
        await receiving


async def all_there_is(consumer: Consumer) -> AsyncGenerator[Delivery, None]:
    """What a bounded consumer is handed, to the end; then, or when this is closed, its intake ends.

    Raises:
        TransportError: it could not go on to the end.
    """
    receiving = asyncio.ensure_future(consumer.receive())
    try:
        while batch := await asyncio.shield(receiving):
            receiving = asyncio.ensure_future(consumer.receive())
            for delivery in batch:
                yield delivery
    finally:
        # It is never cancelled: this ends it, and what it brings stays unsettled.
        consumer.stop_receiving()
        await asyncio.gather(receiving, return_exceptions=True)


async def _waiting(consumer: Consumer, done_with: Collection[str]) -> bool:
    lag = await consumer.lag()
    wanted = {lease.stream for lease in consumer.leases}.difference(done_with)
    # Of a stream that is not in there, the place is not known yet.
    return any(lag.get(stream, 1) for stream in wanted)


async def _assigned(consumer: Consumer) -> None:
    try:
        async with asyncio.timeout(_ASSIGNED_WITHIN):
            while not consumer.leases:  # noqa: ASYNC110 - it has no event for that
                await asyncio.sleep(_LOOK_AGAIN)
    except TimeoutError:
        raise TransportError(
            "somebody else is reading these dead letters: nothing is left for a second reader"
        ) from None
