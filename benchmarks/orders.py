"""What all benchmarks send: small orders of many customers."""

from collections.abc import Iterator
from uuid import uuid4

from dispytch import EventBase, EventEmitter

CUSTOMERS = 1_000
BATCH = 1_000
"""How many events are emitted at once."""


class Order(EventBase):
    """About 130 bytes of JSON; the customer is the key."""

    __event_type__ = "order_placed"
    __key__ = "{customer}"

    number: int
    customer: str
    item: str = "a lamp that is green, and stands on the desk of somebody who reads"
    price: float = 39.9


def new_name() -> str:
    """A name for a topic or a group that nobody else has."""
    return f"benchmark.{uuid4().hex[:8]}"


def orders(topic: str, count: int) -> list[Order]:
    """So many orders for a topic, the customers in turn."""

    class OnTopic(Order):
        __topic__ = topic

    return [OnTopic(number=n, customer=f"customer-{n % CUSTOMERS}") for n in range(count)]


def batches(events: list[Order]) -> Iterator[list[Order]]:
    """The events, in batches."""
    for start in range(0, len(events), BATCH):
        yield events[start : start + BATCH]


async def fill(url: str, topic: str, count: int) -> None:
    """Emit so many orders."""
    async with EventEmitter(url) as emitter:
        for batch in batches(orders(topic, count)):
            await emitter.emit_many(batch)
