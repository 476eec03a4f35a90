"""Which member of a group reads which partition."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Generic, TypeVar

Member = TypeVar("Member")

PartitionId = tuple[str, int]
"""A topic's name and the number of one of its partitions."""


def assign(
    partitions: Iterable[PartitionId],
    members: Mapping[Member, Collection[str]],
    owners: Mapping[PartitionId, Member],
) -> dict[PartitionId, Member]:
    """Give every partition to one of the members that want its topic, evenly.

    ``members`` maps each of them to the topics that it wants. Of two that want a topic, neither
    gets two partitions of it more than the other; where all want the same topics, neither gets
    two more in all. A partition stays with its owner unless that asks for a move. One that
    nobody wants is left out.
    """
    plan = _Plan(members)
    wanted = [partition for partition in partitions if plan.wanting(partition)]
    for partition in wanted:
        if owners.get(partition) in plan.wanting(partition):
            plan.give(partition, owners[partition])
    for partition in wanted:
        if partition not in plan.owners:
            plan.give(partition, plan.idlest(partition))
    # Each move lessens the sum of the squared loads, so this comes to an end.
    while any([plan.moved(partition) for partition in wanted]):
        pass
    return plan.owners


class _Plan(Generic[Member]):
    def __init__(self, members: Mapping[Member, Collection[str]]) -> None:
        self.owners: dict[PartitionId, Member] = {}
        self._total: Counter[Member] = Counter()
        self._of_topic: Counter[tuple[str, Member]] = Counter()
        self._wanting: dict[str, dict[Member, None]] = {}
        for member, topics in members.items():
            for topic in topics:
                self._wanting.setdefault(topic, {})[member] = None

    def wanting(self, partition: PartitionId) -> Collection[Member]:
        return self._wanting.get(partition[0], ())

    def idlest(self, partition: PartitionId) -> Member:
        return min(self.wanting(partition), key=lambda member: self._load(partition, member))

    def give(self, partition: PartitionId, member: Member) -> None:
        self.owners[partition] = member
        self._count(partition, member, 1)

    def moved(self, partition: PartitionId) -> bool:
        owner = self.owners[partition]
        if self._load(partition, owner) < self._heaviest(partition):
            return False
        self._count(partition, owner, -1)
        idlest = self.idlest(partition)
        better = self._load(partition, idlest) < self._load(partition, owner)
        self.give(partition, idlest if better else owner)
        return better

    def _heaviest(self, partition: PartitionId) -> tuple[int, int]:
        return max(self._load(partition, member) for member in self.wanting(partition))

    def _load(self, partition: PartitionId, member: Member) -> tuple[int, int]:
        return self._of_topic[partition[0], member], self._total[member]

    def _count(self, partition: PartitionId, member: Member, change: int) -> None:
        self._of_topic[partition[0], member] += change
        self._total[member] += change
