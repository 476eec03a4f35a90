"""Which names Kafka allows for a topic, and how a subscription by patterns is written."""

import re
from collections.abc import Iterable
from typing import Final

from dispytch.exceptions import TopologyError
from dispytch.topics import ONE, REST, TopicPattern

MAX_LENGTH: Final = 249
_ALLOWED: Final = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)


def check_topic_name(name: str) -> None:
    """Return if Kafka can have a topic of this name.

    Raises:
        TopologyError: it cannot; the text says what is allowed.
    """
    if len(name) <= MAX_LENGTH and name not in (".", "..") and _ALLOWED.fullmatch(name):
        return
    shown = name if len(name) <= MAX_LENGTH else f"{name[:40]}... ({len(name)} characters)"
    raise TopologyError(
        f"Kafka cannot have a topic {shown!r}: a name has 1 to {MAX_LENGTH} characters out of "
        "a-z, A-Z, 0-9, '.', '_' and '-', and is neither '.' nor '..'; rename the topic, for "
        "instance with '.' where it has ':'",
        topic=name,
    )


def check_pattern(pattern: TopicPattern) -> None:
    """Return if Kafka can have a topic that a pattern matches.

    Raises:
        TopologyError: it cannot; the text says what is allowed.
    """
    texts = [segment for segment in pattern.shape if segment not in (ONE, REST)]
    if ":" in pattern.separators or not all(map(_ALLOWED.fullmatch, texts)):
        raise TopologyError(
            f"Kafka can have no topic that the pattern {pattern.text!r} matches: what stands "
            "between its wildcards and fields has characters out of a-z, A-Z, 0-9, '_' and '-', "
            "and '.' between segments; rename the topics, for instance with '.' in place of ':'",
            topic=pattern.text,
        )


def subscribed_regex(topics: Iterable[str], patterns: Iterable[TopicPattern]) -> str:
    """A regular expression for exactly the topics of a subscription."""
    described = [re.escape(topic) for topic in topics] + [one.regex for one in patterns]
    return rf"\A(?:{'|'.join(described)})\Z"
