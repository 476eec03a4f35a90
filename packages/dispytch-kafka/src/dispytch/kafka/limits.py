"""How large a message a topic takes, and those that take what others have taken."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dispytch.kafka.driver import message_limits
from dispytch.kafka.driver_types import AdminClient
from dispytch.topics import TopicPattern
from dispytch.transport import Topology

logger: logging.Logger = logging.getLogger("dispytch.kafka")

HEADROOM: Final = 65_536
"""Bytes of headers that are added to an event that is sent on, and of what stands around it."""

_LARGEST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Carrying:
    """The topics that events are sent on to, and those that the events come from."""

    carriers: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    patterns: tuple[TopicPattern, ...] = ()

    @classmethod
    def of(cls, topology: Topology) -> "Carrying":
        """What a topology says of that."""
        return cls(
            frozenset(topology.carriers), frozenset(topology.sources), topology.source_patterns
        )

    async def limits(self, client: AdminClient) -> Mapping[str, int]:
        """What the sources take, as far as they exist and the broker tells, in bytes."""
        if not self.carriers:
            return {}
        names = set(self.sources)
        if self.patterns:
            names |= {topic for topic in await client.list_topics() if self._is_source(topic)}
        return await message_limits(client, names)

    def _is_source(self, topic: str) -> bool:
        return topic not in self.carriers and any(one.matches(topic) for one in self.patterns)


NOTHING: Final = Carrying()
"""No topic carries what comes from another."""


def room_for(limits: Mapping[str, int]) -> int | None:
    """What a topic must take that carries what these take; None where that is not known."""
    return min(_LARGEST, max(limits.values()) + HEADROOM) if limits else None


def warn_of_narrow(limits: Mapping[str, int], carriers: Mapping[str, int]) -> None:
    """Say which carriers take less than they may have to."""
    room = room_for(limits)
    if room is None:
        return
    widest = max(limits, key=lambda topic: limits[topic])
    for topic, limit in carriers.items():
        if limit < room:
            logger.warning(
                "the topic %r takes messages of %d bytes at most, and events of up to %d bytes "
                "from %r may have to be sent on to it: set its max.message.bytes to %d, or what "
                "does not fit becomes a dead letter by reference",
                topic,
                limit,
                limits[widest],
                widest,
                room,
            )
