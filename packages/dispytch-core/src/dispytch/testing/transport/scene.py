"""Where the tests of the transport contract play."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar
from uuid import uuid4

import pytest

from dispytch.messages import Message
from dispytch.testing.transport.reader import Choice, Reader, eventually, everything, reading
from dispytch.transport import Backend, OnRevoke, StartAt, Subscription, Topology

END = b"~"
"""The value of the last message of a key: when it has come, nothing that is older will."""


class Scene:
    """A broker's particulars, and the few moves that the tests are made of.

    patience: how many seconds something that must happen may take.
    quiet: how many seconds something that must not happen is given to happen.
    repeats_headers: whether the broker's protocol can carry two headers of one name.
    """

    pytestmark: ClassVar[pytest.MarkDecorator] = pytest.mark.asyncio

    patience: ClassVar[float] = 30.0
    quiet: ClassVar[float] = 0.3
    repeats_headers: ClassVar[bool] = True

    def unsendable(self, topic: str) -> Message | None:
        """A message that this broker is bound to refuse while it takes others; None if none is."""
        return None

    @pytest.fixture
    def topic(self) -> str:
        """A topic that no other test uses."""
        return unique("topic")

    @pytest.fixture
    def group(self) -> str:
        """A group that no other test uses."""
        return unique("group")

    async def prepare(self, backend: Backend, group: str, *topics: str) -> None:
        """Make sure that the group gets what is sent from now on."""
        await backend.prepare(Topology(topics=topics, group=group))

    async def send(self, backend: Backend, messages: Sequence[Message]) -> None:
        """Send them, 500 in a batch."""
        async with backend.producer() as producer:
            for start in range(0, len(messages), 500):
                await producer.send(messages[start : start + 500])

    @asynccontextmanager
    async def reading(
        self,
        backend: Backend,
        group: str,
        *topics: str,
        acks: Choice = everything,
        max_in_flight: int = 1000,
        start_at: StartAt = "earliest",
        on_revoke: OnRevoke | None = None,
    ) -> AsyncGenerator[Reader, None]:
        """A reader of these topics, as a member of the group."""
        await self.prepare(backend, group, *topics)
        subscription = Subscription(
            group=group,
            topics=topics,
            max_in_flight=max_in_flight,
            start_at=start_at,
            drain_timeout=self.patience,
        )
        async with reading(
            backend, subscription, acks=acks, on_revoke=on_revoke, patience=self.patience
        ) as reader:
            yield reader

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it as long as patience allows."""
        await eventually(condition, what, self.patience)

    async def received(self, reader: Reader, count: int) -> None:
        """Wait until the reader was handed so many, duplicates included."""
        await self.until(lambda: len(reader.deliveries) >= count, f"{count} deliveries")

    async def all_of(
        self, backend: Backend, topic: str, keys: Collection[bytes | None], *readers: Reader
    ) -> list[bytes | None]:
        """Everything that the readers together are ever handed of these keys."""
        await self.send(backend, [Message(topic, END, key) for key in keys])

        def values() -> list[bytes | None]:
            return [value for reader in readers for value in reader.values]

        await self.until(lambda: values().count(END) >= len(keys), "the end of every key")
        return [value for value in values() if value != END]


def unique(what: str) -> str:
    """A name that was never used before."""
    return f"contract-{what}-{uuid4().hex[:12]}"


def numbered(topic: str, keys: Iterable[bytes | None], count: int) -> list[Message]:
    """So many messages for each of the keys, in turn; their values ascend and differ."""
    rounds = [(number, key) for number in range(count) for key in keys]
    return [Message(topic, b"%06d %s" % (number, key or b""), key) for number, key in rounds]


def some_keys(count: int) -> list[bytes]:
    """So many different keys."""
    return [b"key-%d" % number for number in range(count)]
