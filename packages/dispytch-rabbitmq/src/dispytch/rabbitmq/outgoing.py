"""Messages on their way out: one message, the batch it belongs to, and those not yet confirmed."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from dispytch.exceptions import TransportError
from dispytch.rabbitmq.amqp.frames import Returned, Settled


class Batch:
    """The messages of one send; `done` is set when each of them has its outcome."""

    def __init__(self, size: int) -> None:
        self.failures: dict[int, TransportError] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = size
        if not size:
            self.done.set_result(None)

    @property
    def over(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.done.done()

    def settle(self, index: int, error: TransportError | None) -> None:
        """A message has its outcome."""
        if self.over:
            return
        if error is not None:
            self.failures[index] = error
        self._open -= 1
        if not self._open:
            self.done.set_result(None)


@dataclass(eq=False, slots=True)
class Outgoing:
    """One message of a batch, as it goes to the broker."""

    batch: Batch
    index: int
    topic: str
    routing_key: bytes
    mandatory: bool
    header: bytes
    body: bytes
    sent: bool = False
    settled: bool = False
    returned: Returned | None = None

    @property
    def size(self) -> int:
        """Its bytes on the wire, near enough."""
        return len(self.header) + len(self.body)

    def settle(self, error: TransportError | None) -> None:
        """It has its outcome."""
        self.settled = True
        self.batch.settle(self.index, error)


class Unconfirmed:
    """The messages that one channel has sent and the broker has not confirmed, by tag: pure."""

    def __init__(self) -> None:
        self.size = 0
        self._tag = 0
        self._sent: OrderedDict[int, Outgoing] = OrderedDict()

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self._sent)

    def add(self, message: Outgoing) -> None:
        """The message is sent: it has the channel's next tag."""
        self._tag += 1
        self._sent[self._tag] = message
        self.size += message.size

    def settle(self, settled: Settled) -> list[Outgoing]:
        """The messages that a confirm is about, in the order in which they were sent."""
        messages: list[Outgoing] = []
        if settled.multiple:
            while self._sent and next(iter(self._sent)) <= (settled.tag or self._tag):
                messages.append(self._sent.popitem(last=False)[1])
        elif settled.tag in self._sent:
            messages.append(self._sent.pop(settled.tag))
        self.size -= sum(message.size for message in messages)
        return messages

    def give_back(self, returned: Returned, header: bytes, body: bytes) -> None:
        """Mark the message that the broker has returned: the oldest one that is equal to it.

        A return has no tag. But messages that are equal in all that was sent are equal in what
        happens to them, so which of them it is makes no difference.
        """
        key = returned.routing_key.encode()
        alike = [
            message
            for message in self._sent.values()
            if message.returned is None
            and message.mandatory
            and message.routing_key == key
            and message.body == body
        ]
        exact = (message for message in alike if message.header == header)
        found = next(exact, alike[0] if alike else None)
        if found is not None:
            found.returned = returned

    def take_back(self) -> list[Outgoing]:
        """All of them, oldest first, as the channel is dead: none is waited for any more."""
        messages = list(self._sent.values())
        self._sent.clear()
        self.size = 0
        return messages
