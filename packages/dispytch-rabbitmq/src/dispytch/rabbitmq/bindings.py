"""Which queues a group needs for its topics and patterns, so that each message lies in one: pure.

Where a topic matches several bindings of one queue, the broker puts a message into it once; but
where it matches bindings of two queues, into both. So what is wider takes the narrower with it:

- a topic or pattern that another pattern of the group covers has no queue of its own;
- patterns of which no one covers another, and that still share topics, have one queue together.

Whatever an earlier version of the program had a queue for may have one no more, when a pattern has
been added that covers it. What still lies there must be handled, and nothing more may come: see
`Intake.former`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, islice
from typing import Final

from dispytch.topics import ONE, REST, Shape, TopicPattern, covers, overlap

FORMER_MAX: Final = 256
"""How many selections of patterns are looked into for queues from before."""

OR: Final = ".#.or."
"""Between the patterns that share a queue, in its name."""

_IN_NAMES: Final = {ONE: "#.one", REST: "#.all"}


@dataclass(frozen=True, slots=True)
class Intake:
    """What one queue of a group takes in.

    ``topic`` is spelled as the subscriber spells it: a topic, or one of the patterns. ``keys`` are
    the routing keys of its bindings; where it is ``former``, it had them, and shall have none.
    """

    topic: str
    keys: tuple[str, ...]
    former: bool = False

    @property
    def name(self) -> str:
        """What its queues and exchanges are named after: its topic, or its patterns in words.

        The protocol's clients take neither ``*`` nor ``|`` in a name. As no topic has ``#`` as a
        word, that stands before every word that means something else.
        """
        return OR.join(".".join(map(_named, key.split("."))) for key in self.keys)


def routing_key(topic: str) -> str:
    """The routing key under which a topic's messages travel."""
    return topic.replace(":", ".")


def takes(bound: str, key: str) -> bool:
    """Whether a binding with a routing key, which may have wildcards, takes another one."""
    return covers(bound.split("."), key.split("."))


def intakes(topics: Sequence[str], patterns: Sequence[TopicPattern]) -> list[Intake]:
    """What the queues of a group take in, one for each; together everything, and nothing twice.

    ``patterns`` have different shapes; no topic is spelled in two ways.
    """
    widest = _widest(patterns)
    alone = [
        Intake(topic, (routing_key(topic),))
        for topic in topics
        if not any(covers(pattern.shape, _words(topic)) for pattern in widest)
    ]
    return alone + [_joined(together) for together in _parts(widest)]


def former_intakes(topics: Sequence[str], patterns: Sequence[TopicPattern]) -> list[Intake]:
    """What may have a queue of its own from when the group took less than it does now.

    That is every topic that is covered now, and whatever some of the patterns would give without
    the others; of very many that all share topics, the smallest selections.
    """
    now = {intake.keys for intake in intakes(topics, patterns)}
    found = {intake.keys: intake for topic in topics for intake in intakes([topic], ())}
    for part in _parts(patterns):
        sizes = range(1, len(part) + 1)
        some = chain.from_iterable(combinations(part, size) for size in sizes)
        for chosen in islice(some, FORMER_MAX):
            found |= {intake.keys: intake for intake in intakes((), chosen)}
    return [replace(intake, former=True) for keys, intake in found.items() if keys not in now]


def _widest(patterns: Sequence[TopicPattern]) -> list[TopicPattern]:
    return [
        pattern
        for pattern in patterns
        if not any(covers(other.shape, pattern.shape) for other in patterns if other is not pattern)
    ]


def _parts(patterns: Iterable[TopicPattern]) -> list[list[TopicPattern]]:
    """The patterns, those together that share topics, directly or by way of others."""
    parts: list[list[TopicPattern]] = []
    for pattern in patterns:
        touched = [part for part in parts if _touches(pattern, part)]
        parts = [part for part in parts if part not in touched]
        parts.append([pattern, *(one for part in touched for one in part)])
    return parts


def _touches(pattern: TopicPattern, part: Collection[TopicPattern]) -> bool:
    return any(overlap(pattern.shape, other.shape) for other in part)


def _joined(patterns: Sequence[TopicPattern]) -> Intake:
    keys = tuple(sorted(".".join(pattern.shape) for pattern in patterns))
    return Intake(min(patterns, key=lambda pattern: pattern.shape).text, keys)


def _named(word: str) -> str:
    return _IN_NAMES.get(word, word)


def _words(topic: str) -> Shape:
    return tuple(routing_key(topic).split("."))
