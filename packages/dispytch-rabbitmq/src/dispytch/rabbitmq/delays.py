"""How long a message is kept back, and in which queue: pure.

RabbitMQ has no delay of its own. A delay queue without a consumer keeps every message for the same
time, its ``x-message-ttl``, and then dead-letters it to the exchange, under its own routing key.
As all wait equally long, none stands behind one that is due later. There is one queue for each
step of a ladder and each routing key: were it shared, then messages whose own queue is gone would
hold up those of everybody else.
"""

from dataclasses import dataclass
from typing import Any, Final

from dispytch.exceptions import TransportError
from dispytch.rabbitmq.topology import check_queue_name

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

STEPS: Final = (
    *(100, 200, 300, 500, 700),
    *(_SECOND * n for n in (1, 2, 3, 5, 7, 10, 15, 20, 30, 45)),
    *(_MINUTE * n // 2 for n in (2, 3, 4, 6, 10, 14, 20, 30, 40, 60, 90)),
    *(_HOUR * n // 2 for n in (2, 3, 4, 6, 8, 12, 16, 24, 36, 48)),
)
"""The delays in milliseconds, up to a day, for which there are queues; beyond, whole days."""

LONGEST: Final = 49 * _DAY
"""RabbitMQ counts a time to live in milliseconds, with 32 bits."""

AT_LEAST_ONCE_SINCE: Final = (3, 10)
"""The version from which on quorum queues dead-letter with confirms."""


@dataclass(frozen=True, slots=True)
class DelayQueue:
    """The queue that keeps messages for one routing key back for so many milliseconds."""

    exchange: str
    routing_key: str
    milliseconds: int

    @property
    def name(self) -> str:
        """Its name; no group's queue has one like it, as no topic has ``#`` as a word."""
        return f"{self.exchange}.#.delay.{self.milliseconds}:{self.routing_key}"

    def arguments(self, version: tuple[int, ...]) -> dict[str, Any]:
        """With what it is declared at a broker of that version.

        A quorum queue keeps a message until the queue that it goes to has confirmed it. It has no
        ``x-expires``: the broker would count only declaring as use, and drop what waits in it.
        """
        back = {
            "x-message-ttl": self.milliseconds,
            "x-dead-letter-exchange": self.exchange,
            "x-dead-letter-routing-key": self.routing_key,
        }
        if version < AT_LEAST_ONCE_SINCE:
            return back
        return back | {
            "x-queue-type": "quorum",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }


def delay_queue(exchange: str, routing_key: str, delay: float) -> DelayQueue:
    """The queue that keeps a message back for so many seconds, or a little longer.

    Raises:
        TransportError: the delay is longer than RabbitMQ can have.
        TopologyError: the queue's name would be too long.
    """
    queue = DelayQueue(exchange, routing_key, step(delay))
    check_queue_name(queue.name)
    return queue


def step(delay: float) -> int:
    """The milliseconds of the shortest step that is not shorter than so many seconds.

    Raises:
        TransportError: there is none.
    """
    wanted = delay * 1000
    for milliseconds in STEPS:
        if milliseconds >= wanted:
            return milliseconds
    days = int(-(-wanted // _DAY)) if wanted <= LONGEST else 0
    if not days:
        raise TransportError(
            f"RabbitMQ keeps no message back for {delay:.0f} s: the longest delay is 49 days"
        )
    return days * _DAY
