"""What every side handles: the event, its handler's dependency, and how both are counted.

Only pydantic is imported here: other frameworks run this in environments of their own.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel

KEYS = 1_000
EVENT_TYPE = "order_placed"


class Customer(BaseModel):
    """Who has ordered; the id is the event's key."""

    id: str
    email: str


class Line(BaseModel):
    """What was ordered."""

    sku: str
    quantity: int
    price: float


class Order(BaseModel):
    """A nested model of about 150 bytes of JSON.

    at: when it was emitted, by `time.perf_counter` of the process that did so.
    """

    number: int
    at: float
    customer: Customer
    lines: list[Line]


def order(number: int, keys: int = KEYS) -> Order:
    """The order with this number; the customers come in turn."""
    customer = f"{number % keys:06}"
    return Order(
        number=number,
        at=time.perf_counter(),
        customer=Customer(id=customer, email=f"{customer}@example.org"),
        lines=[Line(sku="A-17", quantity=2, price=9.95)],
    )


def orders(count: int, keys: int = KEYS) -> Iterator[Order]:
    """So many orders."""
    return (order(number, keys) for number in range(count))


@dataclass(frozen=True)
class Measured:
    """What one run of a side has shown, by name: ``rate`` in events/s, ``cpu`` in µs per event."""

    values: dict[str, float]

    @classmethod
    def throughput(cls, events: int, seconds: float, cpu: float, **more: float) -> "Measured":
        """So many events in so many seconds, with so many seconds of this process's time."""
        return cls({"rate": events / seconds, "cpu": cpu / events * 1e6, **more})


@dataclass
class Stopwatch:
    """Wall and processor time since it was made."""

    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)

    def throughput(self, events: int, **more: float) -> Measured:
        """What was done with that time."""
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return Measured.throughput(events, wall, cpu, **more)


class Tally:
    """The handler's dependency: counts events, and measures from the first to the last of them.

    Connecting, joining a group and the first fetch are not measured: they come once, however many
    events follow.
    """

    def __init__(self, events: int) -> None:
        self.events = events
        self._left = events
        self._stopwatch: Stopwatch | None = None
        self._done: asyncio.Future[Measured] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """A handler has begun."""
        if self._stopwatch is None:
            self._stopwatch = Stopwatch()

    def count(self, order: Order) -> None:
        """A handler has done its work with this order."""
        if self._stopwatch is None:
            self._stopwatch = Stopwatch()
        self._left -= 1
        if not self._left:
            self._done.set_result(self._stopwatch.throughput(self.events))

    @property
    def running(self) -> bool:
        """Whether there are events to come."""
        return self._left > 0

    async def measured(self) -> Measured:
        """What it took, once all events have been handled."""
        return await self._done
