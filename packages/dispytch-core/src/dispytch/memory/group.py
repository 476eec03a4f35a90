"""Consumer groups: who reads what, and how that changes hands."""

from collections import defaultdict
from collections.abc import Collection
from typing import Protocol

from dispytch.memory.assignment import PartitionId, assign
from dispytch.memory.topic import Stream, Topic
from dispytch.transport import StartAt


class Member(Protocol):
    """A consumer, as its group sees it."""

    @property
    def alive(self) -> bool:
        """Whether its event loop can still run."""
        ...

    @property
    def bounded(self) -> bool:
        """Whether it has the group for itself."""
        ...

    @property
    def giving_up(self) -> bool:
        """Whether `give_up` is under way."""
        ...

    def wants(self, topic: str) -> bool:
        """Whether one of its patterns matches a topic."""
        ...

    def accept(self, streams: Collection[Stream]) -> None:
        """Read these streams, too, from now on."""
        ...

    def give_up(self, streams: Collection[Stream]) -> None:
        """Begin to give these streams up; `Group.release` follows."""
        ...

    def end(self, streams: Collection[Stream]) -> None:
        """Read these streams no more."""
        ...


class Group:
    """The consumers of one group, and how far it has come in every topic that it ever read."""

    def __init__(self) -> None:
        self._members: dict[Member, list[str]] = {}
        self._streams: dict[PartitionId, Stream] = {}
        self._owners: dict[PartitionId, Member] = {}

    def is_taken(self, *, whole: bool) -> bool:
        """Whether a member may not join, one that wants the ``whole`` group for itself or not."""
        living = [member for member in self._members if member.alive]
        return any(whole or member.bounded for member in living)

    def join(self, member: Member, topics: Collection[Topic], start_at: StartAt) -> None:
        """Add a member. ``start_at`` counts for the topics that the group has never read."""
        for topic in topics:
            self._read(topic, start_at)
        self._members[member] = [topic.name for topic in topics]
        self._balance()

    def appeared(self, topic: Topic) -> None:
        """Have the members read a new topic, from its start, whose patterns match it."""
        wanting = [member for member in self._members if member.wants(topic.name)]
        if wanting:
            self._read(topic, "earliest")
            for member in wanting:
                self._members[member].append(topic.name)
            self._balance()

    def leave(self, member: Member) -> None:
        """Remove a member; what it has not settled waits for the others."""
        self._remove(member)
        self._balance()

    def disband(self) -> None:
        """Keep no place in any topic any more; nobody is left in the group."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()

    def release(self, member: Member, streams: Collection[Stream]) -> None:
        """Take these streams from a member that has given them up, and pass them on."""
        given_up = set(streams)
        held = self._held(member)
        self._free(member, [place for place in held if self._streams[place] in given_up])
        self._balance()

    def _read(self, topic: Topic, start_at: StartAt) -> None:
        if (topic.name, 0) not in self._streams:
            for number, partition in enumerate(topic.partitions):
                self._streams[topic.name, number] = partition.stream(start_at)

    def _balance(self) -> None:
        for gone in [member for member in self._members if not member.alive]:
            self._remove(gone)
        granted: defaultdict[Member, list[Stream]] = defaultdict(list)
        revoked: defaultdict[Member, list[Stream]] = defaultdict(list)
        for place, member in assign(self._streams, self._members, self._owners).items():
            owner = self._owners.get(place)
            if owner is None:
                self._owners[place] = member
                granted[member].append(self._streams[place])
            elif owner is not member:
                revoked[owner].append(self._streams[place])
        for member, streams in granted.items():
            member.accept(streams)
        for member, streams in revoked.items():
            if not member.giving_up:
                member.give_up(streams)

    def _remove(self, member: Member) -> None:
        if self._members.pop(member, None) is not None:
            self._free(member, self._held(member))

    def _held(self, member: Member) -> list[PartitionId]:
        return [place for place, owner in self._owners.items() if owner is member]

    def _free(self, member: Member, places: Collection[PartitionId]) -> None:
        member.end([self._streams[place] for place in places])
        for place in places:
            del self._owners[place]
            self._streams[place].release()
