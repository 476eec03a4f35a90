"""The broker: what backends of one name share."""

from collections.abc import Collection
from typing import ClassVar

from dispytch.memory.bell import Bell
from dispytch.memory.config import MemoryConfig
from dispytch.memory.delayed import Delayed
from dispytch.memory.group import Group
from dispytch.memory.topic import Topic
from dispytch.messages import Message


class MemoryBroker:
    """Topics and groups, kept as long as the process lives.

    ``room`` is rung when a log that was full may have room again; ``delayed`` holds what is not
    due yet. A broker belongs to no event loop, so that one may follow another, but it is not safe
    to use from two threads.
    """

    _named: ClassVar[dict[str, "MemoryBroker"]] = {}

    def __init__(self) -> None:
        self.room: Bell = Bell()
        self.delayed: Delayed = Delayed()
        self._topics: dict[str, Topic] = {}
        self._groups: dict[str, Group] = {}

    @classmethod
    def named(cls, name: str) -> "MemoryBroker":
        """The one broker of that name in this process."""
        return cls._named.setdefault(name, cls())

    def topic(self, name: str, config: MemoryConfig, *, make: bool = True) -> Topic | None:
        """The topic of that name, made if it is missing, and ``make`` and ``config`` allow it."""
        topic = self._topics.get(name)
        if topic is None and make and config.declare == "auto" and name:
            topic = Topic(
                name, partitions=config.partitions, retention=config.retention, room=self.room
            )
            self._topics[name] = topic
            for group in self._groups.values():
                group.appeared(topic)
        return topic

    def reread(self, stream: str, position: int) -> Message | None:
        """The message at a position of a stream, if its log still has it."""
        for topic in self._topics.values():
            for partition in topic.partitions:
                if partition.name == stream:
                    return partition.message(position)
        return None

    @property
    def topics(self) -> Collection[Topic]:
        """All that there are now."""
        return list(self._topics.values())

    def group(self, name: str) -> Group:
        """The group of that name; an empty one if nobody has joined it yet."""
        return self._groups.setdefault(name, Group())
