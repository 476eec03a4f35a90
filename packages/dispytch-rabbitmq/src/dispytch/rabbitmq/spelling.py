"""From a routing key back to the topic, as the group spells it."""

from collections.abc import Iterable, Sequence
from typing import Final

from dispytch.rabbitmq.bindings import routing_key
from dispytch.topics import TopicPattern

REMEMBERED: Final = 10_000
"""How many topics are remembered before all of them are forgotten."""


class Spelling:
    """The topics of a subscription's patterns.

    A ``:`` in a topic is a ``.`` in its routing key. Which of the two it was, the subscription
    says: it is spelled as the topic or the most specific pattern that matches.
    """

    def __init__(self, topics: Iterable[str], patterns: Sequence[TopicPattern]) -> None:
        self._named = {routing_key(topic): topic for topic in topics}
        self._patterns = sorted(patterns, key=lambda pattern: pattern.specificity)
        self._known = dict(self._named)

    def topic(self, key: str) -> str:
        """The topic of a message with this routing key."""
        topic = self._known.get(key)
        if topic is None:
            if len(self._known) - len(self._named) >= REMEMBERED:
                self._known = dict(self._named)
            topic = self._known[key] = self._spelled(key)
        return topic

    def _spelled(self, key: str) -> str:
        for pattern in self._patterns:
            if pattern.matches(key):
                return pattern.spell(key)
        return key
