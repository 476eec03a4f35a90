"""Messages on their way out: one message, and the batch it belongs to."""

import asyncio
from dataclasses import dataclass, replace

from dispytch.exceptions import TransportError
from dispytch.rabbitmq.delays import DelayQueue
from dispytch.rabbitmq.driver import Properties


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
    """One message of a batch, as it goes to the broker.

    exchange: empty for a message that goes straight to a queue, as to a delay queue.
    keeps: whether it is kept if no queue takes it.
    number: grows in the order in which messages are to be sent.
    """

    batch: Batch
    index: int
    topic: str
    exchange: str
    routing_key: str
    mandatory: bool
    properties: Properties
    body: bytes
    keeps: bool = False
    number: int = 0
    delay_queue: DelayQueue | None = None
    sent: bool = False
    settled: bool = False

    @classmethod
    def to_queue(cls, queue: str, body: bytes) -> "Outgoing":
        """A message of our own, straight to a queue."""
        return cls(Batch(1), 0, queue, "", queue, True, Properties(delivery_mode=2), body)

    def to_be_kept(self, queue: str) -> "Outgoing":
        """The same message on its way to the queue that keeps it."""
        return replace(self, batch=Batch(1), index=0, exchange="", routing_key=queue)

    def keep_back(self, queue: DelayQueue) -> None:
        """Send it to a delay queue, which sends it on to where it was to go."""
        self.delay_queue = queue
        self.exchange, self.routing_key, self.mandatory = "", queue.name, True
        # The delay queue is a queue that takes it.
        self.keeps = False
        # An expiration of its own would end the delay early.
        self.properties.expiration = None

    def settle(self, error: TransportError | None) -> None:
        """It has its outcome."""
        self.settled = True
        self.batch.settle(self.index, error)
