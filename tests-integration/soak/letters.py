"""Reads dead letters as they come, and keeps what the reckoning needs of them."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final

from soak.hostile import CANARY, ID

from dispytch.backends import backend_from
from dispytch.messages import Delivery, Lease
from dispytch.transport import Consumer, Subscription, Topology

_WINDOW: Final = 500
_OWN: Final = "dispytch-"


class Letters:
    """How often each hostile message became a dead letter, and how many bear no id.

    ``leaks`` are headers of dispytch's own that show a value of a body.
    """

    def __init__(self) -> None:
        self.times: dict[int, int] = {}
        self.nameless = 0
        self.leaks: list[str] = []

    @property
    def count(self) -> int:
        """All dead letters."""
        return sum(self.times.values()) + self.nameless

    def note(self, letter: Delivery) -> None:
        """One dead letter."""
        number = dict(letter.headers).get(ID)
        if number is None:
            self.nameless += 1
        else:
            self.times[int(number)] = self.times.get(int(number), 0) + 1
        for name, value in letter.headers:
            if name.startswith(_OWN) and CANARY.encode() in (value or b""):
                self.leaks.append(f"{name}: {value!r}"[:300])

    async def read(self, consumer: Consumer) -> None:
        """Take and settle what comes, until intake ends."""
        while batch := await consumer.receive():
            for letter in batch:
                self.note(letter)
                consumer.ack(letter)


@asynccontextmanager
async def reading(url: str, group: str, topics: Sequence[str]) -> AsyncGenerator[Letters]:
    """Read the dead letters of these topics meanwhile."""
    backend, letters = backend_from(url), Letters()
    await backend.prepare(Topology(topics=tuple(topics), group=group))
    subscription = Subscription(group=group, topics=tuple(topics), max_in_flight=_WINDOW)
    async with backend.consumer(subscription, _nothing_to_revoke) as consumer:
        task = asyncio.create_task(letters.read(consumer))
        try:
            yield letters
        finally:
            consumer.stop_receiving()
            await task


async def _nothing_to_revoke(leases: Collection[Lease]) -> None:
    """Letters are settled at once."""
