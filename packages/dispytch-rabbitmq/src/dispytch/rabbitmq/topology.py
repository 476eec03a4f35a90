"""What stands at the broker: the names of exchange, queues and bindings, and their arguments.

A topic is a routing key of one durable topic exchange. AMQP separates the words of a routing key
with ``.``; a ``:`` in a topic separates too, so it is written as ``.``: ``order:42:paid`` and
``order.42.paid`` are one topic here, and a pattern over either can become a binding. Each group
has one durable queue per topic, ``{topic}:{group}``, bound with the topic; as no topic has a
``:`` left, no two pairs share a queue. A pattern is a binding with AMQP's own wildcards, ``*`` and
``#``, and its queue is named after it: ``user.#.one:{group}`` for ``user.*``; which patterns share
a queue is decided in `dispytch.rabbitmq.bindings`.

With partitions, a group has several queues per topic, ``{topic}.#.{number}:{group}``, each with a
single active consumer, behind a consistent-hash exchange ``{topic}:{group}`` that hashes the key.
No topic has ``#`` as a word, and after it each name has another one, so these are nobody else's. A
temporary consumer has a queue of its own per topic, ``{topic}.#.{random}:{group}``, which only its
connection may use, and which goes with that.

Events that nobody takes yet are kept in a queue for each routing key, ``{exchange}.#.kept:{key}``;
see `dispytch.rabbitmq.keeping`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import uuid4

from dispytch.exceptions import TopologyError
from dispytch.rabbitmq.bindings import Intake, former_intakes, intakes, routing_key
from dispytch.rabbitmq.spelling import Spelling
from dispytch.topics import ONE, REST, TopicPattern

QueueType = Literal["quorum", "classic"]

DEFAULT_EXCHANGE = "dispytch"
SHORT_STRING_MAX = 255
KEY_HEADER: Final = "cloudEvents_partitionkey"
"""The header in which a message's key is written, and which is hashed to a partition."""

SINGLE_ACTIVE: dict[str, Any] = {"x-single-active-consumer": True}
ROSTER_ARGUMENTS: dict[str, Any] = {"x-queue-type": "classic", "x-expires": 3_600_000}
"""It never has a message: it is made anew whenever members come after an hour without any."""

UNLIMITED_DELIVERIES = 2**31 - 1
"""Written out, as RabbitMQ 4 drops a message after 20 deliveries otherwise; and the same for every
version of the broker, as a queue is only declared again when its arguments are equal."""

_ALLOWED = re.compile(r"[A-Za-z0-9\-_.:@#,/+ ]+")
_ALLOWED_TEXT = "letters and digits of ASCII, space and - _ . : @ # , / +"


@dataclass(frozen=True, slots=True)
class GroupQueue:
    """A queue of one group. ``topic``, or pattern, is spelled as the subscriber spells it.

    routing_keys: of its bindings.
    is_former: from before a pattern took it in: it is to have none of these bindings, and to be
        emptied.
    hash_exchange: the exchange that it is a partition of, or None: then it has all of the topic.
    exclusive: it belongs to one connection, and goes with it.
    spelling: of the topics in it, where it may have several.
    """

    topic: str
    name: str
    routing_keys: tuple[str, ...]
    arguments: dict[str, Any]
    hash_exchange: str | None = None
    exclusive: bool = False
    is_former: bool = False
    spelling: Spelling | None = field(default=None, compare=False)

    def topic_of(self, key: str) -> str:
        """The topic of a message in it that came with this routing key."""
        return self.topic if self.spelling is None else self.spelling.topic(key)


def group_queues(
    topics: tuple[str, ...],
    group: str,
    queue_type: QueueType,
    delivery_limit: int | None,
    partitions: int | None = None,
    exchange: str = DEFAULT_EXCHANGE,
    patterns: tuple[TopicPattern, ...] = (),
    *,
    former: bool = False,
) -> tuple[GroupQueue, ...]:
    """The queues of a group: one for each intake, or as many as there are partitions.

    A virtual host may hold several exchanges: the queues of all but the default one are named
    after theirs, too. ``former`` asks for those that there may be from before.

    Raises:
        TopologyError: the broker would refuse a name, or two topics are one to it.
    """
    check_topics(topics)
    check_patterns(patterns)
    _check_words("group", group)
    check_name("group", group)
    arguments = queue_arguments(queue_type, delivery_limit)
    spelling = Spelling(topics, patterns) if patterns else None
    group = owner(group, exchange)
    queues: list[GroupQueue] = []
    for intake in (former_intakes if former else intakes)(topics, patterns):
        queues += _queues(intake, group, arguments, partitions, spelling)
    return tuple(queues)


KEPT_EVENTS: Final = 10_000
KEPT_BYTES: Final = 64 * 2**20
"""What the queue of a topic keeps at most of events that nobody takes yet."""

KEPT_TOPICS: Final = 1_000
"""For how many topics of an exchange events are kept at most."""


def keeping_lock(exchange: str) -> str:
    """The name of the queue that one connection at a time has, while it keeps or takes over."""
    return f"{exchange}.#.keeping"


def kept_index(exchange: str) -> str:
    """The name of the queue whose messages are the routing keys for which events are kept."""
    return f"{exchange}.#.kept"


def kept_queue(exchange: str, key: str) -> str:
    """The name of the queue that keeps the events of a routing key.

    Raises:
        TopologyError: it would be too long.
    """
    return check_queue_name(f"{exchange}.#.kept:{key}")


def kept_arguments(queue_type: QueueType, events: int) -> dict[str, Any]:
    """With what a queue is declared that keeps so many messages, and refuses more."""
    return {
        "x-queue-type": queue_type,
        "x-max-length": events,
        "x-max-length-bytes": KEPT_BYTES,
        "x-overflow": "reject-publish",
    }


def temporary_queues(topics: tuple[str, ...], group: str) -> tuple[GroupQueue, ...]:
    """The queues of one consumer that shares with nobody: one for each topic, named at random.

    Raises:
        TopologyError: as `group_queues` says.
    """
    check_topics(topics)
    check_name("group", group)
    queues: list[GroupQueue] = []
    for topic in topics:
        key = routing_key(topic)
        name = check_queue_name(f"{key}.#.{uuid4().hex}:{group}")
        queues.append(GroupQueue(topic, name, (key,), {"x-queue-type": "classic"}, exclusive=True))
    return tuple(queues)


def _queues(
    intake: Intake,
    group: str,
    arguments: dict[str, Any],
    partitions: int | None,
    spelling: Spelling | None,
) -> Iterable[GroupQueue]:
    whole = f"{intake.name}:{group}"
    names, hash_exchange = [whole], None
    if partitions is not None:
        names = [partition_name(intake.name, group, number) for number in range(partitions)]
        arguments, hash_exchange = arguments | SINGLE_ACTIVE, whole
    for name in names:
        yield GroupQueue(
            intake.topic,
            check_queue_name(name),
            intake.keys,
            arguments,
            hash_exchange,
            is_former=intake.former,
            spelling=spelling if any(map(_is_wild, intake.keys)) else None,
        )


def _is_wild(key: str) -> bool:
    return not {ONE, REST}.isdisjoint(key.split("."))


def owner(group: str, exchange: str) -> str:
    """A group as the names of its queues have it: no group has ``#`` as a word."""
    return group if exchange == DEFAULT_EXCHANGE else f"{group}.#.at.{exchange}"


def partition_name(key: str, group: str, number: int) -> str:
    """The name of one partition of an intake, given by its name, for a group."""
    return f"{key}.#.{number}:{group}"


def other_queues(
    topics: Sequence[str], patterns: Sequence[TopicPattern], group: str, partitions: int
) -> list[str]:
    """The queues that are left over if the group had no partitions before, or more of them."""
    found = [*intakes(topics, patterns), *former_intakes(topics, patterns)]
    names = [intake.name for intake in found if patterns or not intake.former]
    wholes = [f"{name}:{group}" for name in names]
    return wholes + [partition_name(name, group, partitions) for name in names]


def roster_name(hash_exchange: str) -> str:
    """The name of the queue whose consumers are the members that share partitions."""
    key, _, group = hash_exchange.partition(":")
    return f"{key}.#.members:{group}"


def reader_name(queue: str) -> str:
    """The name of the exclusive queue that whoever reads a queue alone has as a lock."""
    key, _, group = queue.partition(":")
    return check_queue_name(f"{key}.#.reader:{group}")


def queue_arguments(queue_type: QueueType, delivery_limit: int | None) -> dict[str, Any]:
    """The arguments with which a queue is declared."""
    if queue_type == "classic":
        return {"x-queue-type": "classic"}
    limit = UNLIMITED_DELIVERIES if delivery_limit is None else delivery_limit
    return {"x-queue-type": "quorum", "x-delivery-limit": limit}


def check_topics(topics: tuple[str, ...]) -> None:
    """Check names of topics, alone and beside each other.

    Raises:
        TopologyError: the broker would refuse one, or two of them are one to it.
    """
    spelled: dict[str, str] = {}
    for topic in topics:
        try:
            _check_words("topic", topic)
            check_name("topic", topic)
        except TopologyError as error:
            error.topic = topic
            raise
        other = spelled.setdefault(routing_key(topic), topic)
        if other != topic:
            raise TopologyError(
                f"topics {other!r} and {topic!r} are one topic on RabbitMQ, where ':' and '.' both "
                "separate words; use one spelling",
                topic=topic,
            )


def check_patterns(patterns: Iterable[TopicPattern]) -> None:
    """Check that the broker can have topics that these patterns match.

    Raises:
        TopologyError: it cannot, as of a text in one.
    """
    for pattern in patterns:
        texts = [segment for segment in pattern.shape if segment not in (ONE, REST)]
        for text in texts:
            try:
                check_name("the segment", text)
            except TopologyError as error:
                raise TopologyError(
                    f"RabbitMQ can have no topic that the pattern {pattern.text!r} matches: "
                    f"{error}",
                    topic=pattern.text,
                ) from error
        if pattern.shape[0] == "amq":
            raise TopologyError(
                f"pattern {pattern.text!r}: RabbitMQ reserves names that begin with 'amq.'; rename "
                "the topics",
                topic=pattern.text,
            )


def check_name(what: str, name: str) -> None:
    """Check a name that becomes part of an exchange's or a queue's.

    Raises:
        TopologyError: it is empty, too long, reserved, or has a character that is not allowed.
    """
    if not _ALLOWED.fullmatch(name):
        raise TopologyError(
            f"{what} {name!r} cannot be a name on RabbitMQ; allowed are {_ALLOWED_TEXT}"
        )
    if name.startswith("amq."):
        raise TopologyError(
            f"{what} {name!r}: RabbitMQ reserves names that begin with 'amq.'; rename it"
        )
    _check_length(f"{what} {name[:40]!r}...", name)


def check_queue_name(name: str) -> str:
    """A queue's name, if it can be one.

    Raises:
        TopologyError: it is longer than the protocol allows.
    """
    _check_length(f"the queue name {name!r}, made of a topic and more,", name)
    return name


def check_routing_key(key: str) -> None:
    """Check the routing key of one message.

    Raises:
        TopologyError: it is longer than the protocol allows.
    """
    _check_length(f"the routing key {key[:40]!r}...", key)


def _check_words(what: str, name: str) -> None:
    if {"*", "#"} & set(routing_key(name).split(".")):
        raise TopologyError(
            f"{what} {name!r}: the words '*' and '#' stand for other words in a binding of "
            f"RabbitMQ and cannot be part of a {what}'s name; rename it"
        )


def _check_length(what: str, text: str) -> None:
    size = len(text.encode())
    if size > SHORT_STRING_MAX:
        raise TopologyError(
            f"{what} has {size} bytes of UTF-8; AMQP allows {SHORT_STRING_MAX}: shorten it"
        )
