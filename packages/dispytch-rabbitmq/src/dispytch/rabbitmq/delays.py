"""How long a message is kept back, and in which queue: pure.

RabbitMQ has no delay of its own. A delay queue without a consumer keeps every message for the same
time, its ``x-message-ttl``, and then dead-letters it to the exchange, under its own routing key.
As all wait equally long, none stands behind one that is due later. There is one queue for each
step of a ladder and each routing key: were it shared, then messages whose own queue is gone would
hold up those of everybody else.

Topics come and go, and their delay queues are not to stay. A queue that expires takes with it what
waits there, and the broker counts neither publishing nor declaring a quorum queue again as use of
it. So there is a queue for each week, made once and used in that week only: it expires when all
that was sent there in time has long left.
"""

from dataclasses import dataclass, replace
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

WEEK: Final = 7 * _DAY
"""For how long messages are sent to one delay queue."""

_LEFT_ALONE: Final = WEEK
"""For how long at least a message waits, after it was due, for a queue that takes it."""

_EXPIRES_MAX: Final = 2**32 - 1

AT_LEAST_ONCE_SINCE: Final = (3, 10)
"""The version from which on quorum queues dead-letter with confirms."""


@dataclass(frozen=True, slots=True)
class DelayQueue:
    """The queue that keeps messages for one routing key back for so many milliseconds.

    week: the only one in which it is used; None: it is used for ever.
    """

    exchange: str
    routing_key: str
    milliseconds: int
    week: int | None = None

    @property
    def name(self) -> str:
        """Its name; no group's queue has one like it, as no topic has ``#`` as a word."""
        week = "" if self.week is None else f".{self.week}"
        return f"{self.exchange}.#.delay.{self.milliseconds}{week}:{self.routing_key}"

    @property
    def expires(self) -> int | None:
        """After how many milliseconds it goes; None: never."""
        if self.week is None:
            return None
        # Those who send by different clocks do not change weeks in the same moment.
        expires = WEEK + self.milliseconds + _LEFT_ALONE + _DAY
        return expires if expires <= _EXPIRES_MAX else None

    def arguments(self, version: tuple[int, ...]) -> dict[str, Any]:
        """With what it is declared at a broker of that version.

        A quorum queue keeps a message until the queue that it goes to has confirmed it.
        """
        back: dict[str, Any] = {
            "x-message-ttl": self.milliseconds,
            "x-dead-letter-exchange": self.exchange,
            "x-dead-letter-routing-key": self.routing_key,
        }
        if self.expires is not None:
            back["x-expires"] = self.expires
        if version < AT_LEAST_ONCE_SINCE:
            return back
        return back | {
            "x-queue-type": "quorum",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }


def week_of(seconds: float) -> int:
    """The number of the week in which a moment lies, in seconds since the epoch."""
    return int(seconds * 1000 // WEEK)


def delay_queue(
    exchange: str, routing_key: str, delay: float, week: int | None = None
) -> DelayQueue:
    """The queue that keeps a message back for so many seconds, or a little longer.

    week: the present one, for a queue that expires.

    Raises:
        TransportError: the delay is longer than RabbitMQ can have.
        TopologyError: the queue's name would be too long.
    """
    queue = DelayQueue(exchange, routing_key, step(delay), week)
    if queue.expires is None:
        queue = replace(queue, week=None)
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
