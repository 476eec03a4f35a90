"""How an event comes back to its group alone: for a later attempt, or replayed. Pure.

It travels through the group's own topic, ``{group}.retry``, with headers that say where it came
from, which handler it is for, and when it is due.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dispytch.dead_letters import HANDLER, HANDLER_TOPIC, ORIGINAL_TOPIC, origin
from dispytch.exceptions import DecodeError
from dispytch.headers import added_to, apart, escaped
from dispytch.messages import Delivery, Headers, Message
from dispytch.printable import quoted

ATTEMPT: Final = "dispytch-attempt"
FAILURES: Final = "dispytch-failures"
FIRST_ATTEMPT: Final = "dispytch-first-attempt"
DUE: Final = "dispytch-due"
WAITING_SINCE: Final = "dispytch-waiting-since"
WAITING_NUMBER: Final = "dispytch-waiting-number"

_DIGITS: Final = 15


HOLDS: Final[Mapping[str, float]] = {"20m": 1200.0, "3m": 180.0, "30s": 30.0, "5s": 5.0}
"""The holding topics of a group, by the end of their names, and for how many seconds an event is in
them. They are for brokers that keep no message back."""


def retry_topic(group: str) -> str:
    """The topic through which events come back to a group."""
    return f"{group}.retry"


def dead_topic(group: str) -> str:
    """The group's own dead-letter topic, for what has its place in none of its handlers'."""
    return f"{group}.dead"


def holding_topics(group: str) -> tuple[str, ...]:
    """The topics in which events of a group wait for long."""
    return tuple(f"{retry_topic(group)}.{name}" for name in HOLDS)


def hold_of(topic: str, group: str) -> float | None:
    """For how many seconds an event is in a holding topic; None for other topics."""
    before, dot, name = topic.rpartition(".")
    return HOLDS.get(name) if dot and before == retry_topic(group) else None


def way_back(group: str, seconds: float) -> str:
    """Where an event of a group waits next that is due in so many seconds."""
    for name, hold in HOLDS.items():
        if seconds > hold:
            return f"{retry_topic(group)}.{name}"
    return retry_topic(group)


def replay_group(group: str) -> str:
    """The group that reads the dead letters of a group."""
    return f"{group}.replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redelivery:
    """What an event that comes back says of itself.

    topic: where it came from first. handler: whom it is for; None: everyone who takes it.
    handler_topic: stands for what this handler takes, as far as known; see `one_name` of topics.
    attempt: the number of the attempt that it comes for, from 1.
    failures: how many attempts count as failed by now.
    first_attempt, due: when the first attempt began, and when this one may, in milliseconds since
        the epoch; None: unknown, and now.
    waiting_since: when it first asked a limit that has postponed it ever since; likewise.
    waiting_number: which of those it is that asked within the same millisecond.
    """

    topic: str
    handler: str | None = None
    handler_topic: str | None = None
    attempt: int = 1
    failures: int = 0
    first_attempt: int | None = None
    due: int | None = None
    waiting_since: int | None = None
    waiting_number: int | None = None

    @classmethod
    def of(cls, delivery: Delivery) -> "Redelivery":
        """Read what a delivery from the retry topic says, which `returned` has looked at.

        Raises:
            DecodeError: it was not sent there by dispytch.
        """
        added = added_to(delivery)
        topic = added.get(ORIGINAL_TOPIC)
        if topic is None:
            raise DecodeError(
                f"a message on {delivery.lease.topic!r}, the group's own topic, does not say where "
                f"it came from: it lacks the header {ORIGINAL_TOPIC!r}"
            )
        return cls(
            topic=topic.decode("utf-8", "replace"),
            handler=_text(added, HANDLER),
            handler_topic=_text(added, HANDLER_TOPIC),
            attempt=_number(added, ATTEMPT, at_least=1) or 1,
            failures=_number(added, FAILURES) or 0,
            first_attempt=_number(added, FIRST_ATTEMPT),
            due=_number(added, DUE),
            waiting_since=_number(added, WAITING_SINCE),
            waiting_number=_number(added, WAITING_NUMBER),
        )

    def message(self, delivery: Delivery, group: str) -> Message:
        """The message that brings a delivery's event back to a group."""
        numbers = {
            ATTEMPT: self.attempt,
            FAILURES: self.failures,
            FIRST_ATTEMPT: self.first_attempt,
            DUE: self.due,
            WAITING_SINCE: self.waiting_since,
            WAITING_NUMBER: self.waiting_number,
        }
        headers = [*escaped(delivery.headers), *origin(delivery)]
        texts = {HANDLER: self.handler, HANDLER_TOPIC: self.handler_topic}
        headers += [(name, text.encode()) for name, text in texts.items() if text is not None]
        headers += [(name, b"%d" % value) for name, value in numbers.items() if value is not None]
        return Message(retry_topic(group), delivery.value, delivery.key, headers, repeats=delivery)


def due_of(headers: Headers) -> float | None:
    """When what stands in one of the group's own topics is due, in seconds since the epoch.

    Raises:
        DecodeError: nobody can tell.
    """
    due = _number(apart(headers)[1], DUE)
    return None if due is None else due / 1000


def returned(delivery: Delivery) -> None:
    """Take the headers that dispytch has added off a delivery from one of the group's own topics.

    From here on, it has the headers that the event had where it came from.
    """
    delivery.headers, delivery.added = apart(delivery.headers)


def _text(headers: Mapping[str, bytes], name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("utf-8", "replace")


def _number(headers: Mapping[str, bytes], name: str, at_least: int = 0) -> int | None:
    value = headers.get(name)
    if value is None:
        return None
    # No number that dispytch writes is longer; and Python takes its time to read a very long one.
    number = int(value) if value.isdigit() and len(value) <= _DIGITS else -1
    if number < at_least:
        raise DecodeError(
            f"the header {name!r} is no whole number from {at_least} on: {quoted(value, 60)}"
        )
    return number
