"""What becomes of an event that cannot be handled, and what a dead letter says of it: pure.

A dead letter is the message of a failed event: value, key and headers byte for byte, with these
headers added, the same on every backend. All are text in UTF-8.

======================================  ===========================================================
``dispytch-dead-letter-id``             its own id, a random UUID
``dispytch-reason``                     one of `Reason`
``dispytch-group``                      the consumer group that gave it up
``dispytch-handler``                    module and name of the handler; missing where none was found
``dispytch-handler-topic``              what it takes: a topic, or a pattern's one name; likewise
``dispytch-attempts``                   how often that was run
``dispytch-failed-at``                  when it was given up, in RFC 3339 and UTC
``dispytch-exception-type``             module and name of the error's class
``dispytch-exception-message``          its text on one line, cut after 1,000 bytes
``dispytch-exception-traceback``        its traceback, the last 4,000 bytes
``dispytch-original-topic``             where the event came from
``dispytch-original-stream``            the partition or queue
``dispytch-original-position``          the offset or delivery tag
``dispytch-original-timestamp``         the broker's or producer's, in milliseconds since the epoch
``dispytch-refusal``                    of a letter in the group's own dead-letter topic: the topic
                                        that it was meant for, and why it is not there
======================================  ===========================================================

A dead letter *by reference* is one that has no value: the event, or its headers, did not fit into
the topic, or the driver could not decode it. The event stays where it is, and the letter says
where, in these headers more:

======================================  ===========================================================
``dispytch-body-stream``                the partition or queue that the event itself is in
``dispytch-body-position``              its offset or delivery tag there
``dispytch-body-size``                  of its value, in bytes; missing where that is not known
``dispytch-body-sha256``                of its value, in hexadecimal digits; likewise
======================================  ===========================================================
"""

import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args
from uuid import uuid4

from dispytch.exceptions import ConfigurationError
from dispytch.headers import added_to, apart, escaped
from dispytch.messages import Delivery, Headers, Message
from dispytch.printable import printable, qualified_name
from dispytch.tracebacks import traceback_text

ID: Final = "dispytch-dead-letter-id"
REASON: Final = "dispytch-reason"
GROUP: Final = "dispytch-group"
HANDLER: Final = "dispytch-handler"
HANDLER_TOPIC: Final = "dispytch-handler-topic"
ATTEMPTS: Final = "dispytch-attempts"
FAILED_AT: Final = "dispytch-failed-at"
EXCEPTION_TYPE: Final = "dispytch-exception-type"
EXCEPTION_MESSAGE: Final = "dispytch-exception-message"
EXCEPTION_TRACEBACK: Final = "dispytch-exception-traceback"
ORIGINAL_TOPIC: Final = "dispytch-original-topic"
ORIGINAL_STREAM: Final = "dispytch-original-stream"
ORIGINAL_POSITION: Final = "dispytch-original-position"
ORIGINAL_TIMESTAMP: Final = "dispytch-original-timestamp"
REFUSAL: Final = "dispytch-refusal"
BODY_STREAM: Final = "dispytch-body-stream"
BODY_POSITION: Final = "dispytch-body-position"
BODY_SIZE: Final = "dispytch-body-size"
BODY_DIGEST: Final = "dispytch-body-sha256"

REPLAY_TURN: Final = "dispytch-replay-turn"
"""The replay that last sent the event, or put its dead letter back."""

MESSAGE_CUT: Final = 1_000
TRACEBACK_CUT: Final = 4_000

Reason = Literal[
    "failed",
    "rejected",
    "invalid",
    "undecodable",
    "unhandled",
    "unsendable",
    "unanswerable",
    "unsigned",
]
"""``failed``: the attempts are used up. ``rejected``: the handler raised `Reject`. ``invalid``: the
body does not validate. ``undecodable``: the bytes cannot be read. ``unhandled``: no handler takes
it. ``unsendable``: the broker does not take it for a later attempt. ``unanswerable``: it was
handled, and the broker takes no reply to it. ``unsigned``: it came back to the group without the
group's signature, see ``signing_key`` of the listener."""


@dataclass(frozen=True, slots=True)
class DeadLetterTopic:
    """The policy that sends an event that cannot be handled to a topic, confirmed, and goes on.

    name: of that topic; ``{topic}`` and ``{group}`` stand for the topic, as the handler that
        failed names it, and the listener's group. Of a handler that takes a pattern, the dead
        letters of all topics lie together, and ``_`` stands for what the pattern leaves open:
        those of ``user.*`` in ``user._.billing.dead``.
    details: whether a dead letter has the text and the traceback of the error, beside its type.

    Raises:
        ConfigurationError: the name is empty or has another field.
    """

    name: str = "{topic}.{group}.dead"
    details: bool = True

    def __post_init__(self) -> None:
        try:
            fields = {field for _, field, _, _ in string.Formatter().parse(self.name)}
        except ValueError as error:
            raise ConfigurationError(f"DeadLetterTopic {self.name!r}: {error}") from error
        unknown = fields - {None, "topic", "group"}
        if unknown or not self.name:
            raise ConfigurationError(
                f"DeadLetterTopic {self.name!r}: a name may hold the fields {{topic}} and "
                "{group} and no other"
            )

    def of(self, topic: str, group: str) -> str:
        """The topic for the dead letters of one topic and group; see `one_name` for a pattern."""
        return self.name.format(topic=topic, group=group)


FailurePolicy = Literal["halt", "drop"] | DeadLetterTopic
"""`DeadLetterTopic`: send it there, confirmed, settle it, go on.
``"halt"``: leave the event unsettled, stop the listener and raise.
``"drop"``: log the event as an error, settle it, go on."""

Unhandled = Literal["ignore"] | FailurePolicy
"""What becomes of events that no handler takes: ``"ignore"`` settles and counts them, and logs
once for each type; or a policy as for those that fail."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an event is given up. ``handler`` and ``attempts`` are missing where none was run.

    ``topic`` stands for what the handler takes, see `dispytch.topics.one_name`; where none was
    found, for what the most specific one does that takes the event's topic. ``details``: whether a
    dead letter has the error's text and traceback.
    """

    reason: Reason
    error: Exception
    handler: str | None = None
    attempts: int = 0
    topic: str | None = None
    details: bool = True


def checked(policy: object) -> FailurePolicy:
    """The policy, if it is one.

    Raises:
        ConfigurationError: it is not; the text names those there are.
    """
    if isinstance(policy, DeadLetterTopic):
        return policy
    for known in get_args(get_args(FailurePolicy)[0]):
        if policy == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(
        f"dead_letter must be 'halt', 'drop' or a DeadLetterTopic, not {policy!r}"
    )


def checked_unhandled(policy: object) -> Unhandled:
    """The policy for events that no handler takes, if it is one.

    Raises:
        ConfigurationError: it is not.
    """
    if policy == "ignore":
        return "ignore"
    try:
        return checked(policy)
    except ConfigurationError:
        raise ConfigurationError(
            f"unhandled must be 'ignore', 'halt', 'drop' or a DeadLetterTopic, not {policy!r}"
        ) from None


def dead_letter(delivery: Delivery, failure: Failure, *, destination: str, group: str) -> Message:
    """The dead letter of a delivery."""
    return Message(
        destination,
        delivery.value,
        delivery.key,
        [*escaped(delivery.headers), *_failure_headers(delivery, failure, group)],
        repeats=delivery,
    )


def original_headers(headers: Headers) -> Headers:
    """The headers of a dead letter, without those that dispytch has added to it."""
    return apart(headers)[0]


def origin(delivery: Delivery) -> Iterator[tuple[str, bytes]]:
    """Where the event was before anything sent it on."""
    known = added_to(delivery)
    timestamp = delivery.timestamp_ms
    here = {
        ORIGINAL_TOPIC: delivery.topic.encode(),
        ORIGINAL_STREAM: delivery.lease.stream.encode(),
        ORIGINAL_POSITION: b"%d" % delivery.position,
        ORIGINAL_TIMESTAMP: None if timestamp is None else b"%d" % timestamp,
    }
    if ORIGINAL_TOPIC in known:
        here = {name: known.get(name) for name in here}
    # A replay must know what it has sent itself when that fails again.
    here[REPLAY_TURN] = known.get(REPLAY_TURN)
    for name, value in here.items():
        if value is not None:
            yield name, value


def _failure_headers(
    delivery: Delivery, failure: Failure, group: str
) -> Iterator[tuple[str, bytes]]:
    error = failure.error
    texts: dict[str, str | None] = {
        ID: str(uuid4()),
        REASON: failure.reason,
        GROUP: group,
        HANDLER: failure.handler,
        HANDLER_TOPIC: failure.topic,
        ATTEMPTS: str(failure.attempts),
        FAILED_AT: datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        EXCEPTION_TYPE: qualified_name(error),
        EXCEPTION_MESSAGE: printable(error, MESSAGE_CUT) if failure.details else None,
        EXCEPTION_TRACEBACK: traceback_text(error, TRACEBACK_CUT) if failure.details else None,
    }
    for name, text in texts.items():
        if text is not None:
            yield name, text.encode("utf-8", "backslashreplace")
    yield from origin(delivery)
