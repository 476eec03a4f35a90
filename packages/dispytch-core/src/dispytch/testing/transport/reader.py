"""A consumer that is being read, for tests."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

from dispytch.messages import Delivery, Lease
from dispytch.transport import Backend, Consumer, OnRevoke, Subscription

Choice = Callable[[Delivery], bool]


def everything(_: Delivery) -> bool:
    """Choose every delivery."""
    return True


def nothing(_: Delivery) -> bool:
    """Choose no delivery."""
    return False


class Reader:
    """Reads a consumer in the background, as core does: one `receive` after the other.

    It acks at once what ``acks`` chooses. What it was handed is kept as it came, with every
    duplicate; ``peak`` is the largest number that was ever handed out and unsettled.
    """

    def __init__(self, consumer: Consumer, acks: Choice, patience: float) -> None:
        self.consumer = consumer
        self._patience = patience
        self.peak: int = 0
        self._acks = acks
        self._deliveries: list[Delivery] = []
        self._unsettled: dict[int, Delivery] = {}
        self._intake = asyncio.create_task(self._take_in())

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """Everything so far, in the order in which it came. Raises what `receive` raised."""
        if self._intake.done():
            self._intake.result()
        return self._deliveries

    @property
    def values(self) -> list[bytes | None]:
        """The values of everything so far, in the order in which they came."""
        return [delivery.value for delivery in self.deliveries]

    @property
    def unsettled(self) -> list[Delivery]:
        """What was handed out and is neither acked nor given back."""
        return list(self._unsettled.values())

    def ack(self, delivery: Delivery) -> None:
        """Ack it, and count it no longer."""
        self._unsettled.pop(id(delivery), None)
        self.consumer.ack(delivery)

    def nack(self, delivery: Delivery) -> None:
        """Give it back, and count it no longer."""
        self._unsettled.pop(id(delivery), None)
        self.consumer.nack(delivery)

    async def stop(self) -> None:
        """Stop receiving; return when the last `receive` has, or fail if it does not."""
        self.consumer.stop_receiving()
        await asyncio.wait([self._intake], timeout=self._patience)
        if not self._intake.done():
            self._intake.cancel()
            raise AssertionError(f"`receive` still waits {self._patience} s after `stop_receiving`")
        self._intake.result()

    async def _take_in(self) -> None:
        while deliveries := await self.consumer.receive():
            self._deliveries.extend(deliveries)
            self._unsettled.update((id(delivery), delivery) for delivery in deliveries)
            self.peak = max(self.peak, len(self._unsettled))
            for delivery in filter(self._acks, deliveries):
                self.ack(delivery)


@asynccontextmanager
async def reading(
    backend: Backend,
    subscription: Subscription,
    *,
    acks: Choice = everything,
    on_revoke: OnRevoke | None = None,
    patience: float = 5.0,
) -> AsyncGenerator[Reader, None]:
    """A reader of one subscription; leaving it flushes and leaves the group.

    ``patience`` is how many seconds the last `receive` may take to return.
    """
    async with backend.consumer(subscription, on_revoke or _nothing_to_drain) as consumer:
        reader = Reader(consumer, acks, patience)
        try:
            yield reader
        finally:
            await reader.stop()
        await consumer.flush()


async def eventually(condition: Callable[[], bool], what: str, within: float) -> None:
    """Return when the condition holds; fail, naming what was waited for, after so many seconds."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        await asyncio.sleep(0.005)


def assert_exactly(received: Collection[bytes | None], expected: Collection[bytes | None]) -> None:
    """Fail unless each expected value came once: naming what is missing and what came too often."""
    missing = Counter(expected) - Counter(received)
    surplus = Counter(received) - Counter(expected)
    assert not missing, f"{missing.total()} of {len(expected)} lost, such as {_some(missing)}"
    assert not surplus, f"{surplus.total()} came too often, such as {_some(surplus)}"


def assert_in_order(deliveries: Collection[Delivery]) -> None:
    """Fail unless the values of every topic and key came in ascending order."""
    last: dict[tuple[str, bytes | None], bytes] = {}
    for delivery in deliveries:
        place = (delivery.topic, delivery.key)
        before = last.get(place, b"")
        value = delivery.value or b""
        assert before <= value, f"{before!r} came before {value!r} of {place}"
        last[place] = value


def _some(values: Counter[bytes | None]) -> list[bytes | None]:
    return [value and value[:60] for value in list(values)[:5]]


async def _nothing_to_drain(_: Collection[Lease]) -> None:
    """The reader holds nothing that must be drained."""
