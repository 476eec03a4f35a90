"""The partitions that a consumer holds, and how the room for deliveries is shared among them."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from dispytch.kafka.driver_types import Record, TopicPartition
from dispytch.kafka.lease import KafkaLease
from dispytch.messages import Delivery


class Leases:
    """The leases of one consumer.

    Each has an even share of ``max_in_flight``, or all of it if they are not ``shared``. They take
    turns at being the first to hand out, so that none waits for another where there are more leases
    than room: ``is_crowded``.
    """

    def __init__(self, max_in_flight: int, *, shared: bool = True) -> None:
        self._shared: Final = shared
        self._max_in_flight: Final = max_in_flight
        self._held: dict[TopicPartition, KafkaLease] = {}
        self._window = max_in_flight
        self.is_crowded: bool = False

    def __iter__(self) -> Iterator[KafkaLease]:
        return iter(list(self._held.values()))

    def __len__(self) -> int:
        return len(self._held)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin a lease on each of these that is not held yet."""
        for partition in partitions:
            if partition not in self._held:
                self._held[partition] = KafkaLease.on(partition)
        self._share_out()

    def end(self, leases: Collection[KafkaLease]) -> None:
        """End these leases: what is not handed out is forgotten, what is cannot be settled."""
        for lease in leases:
            lease.ended = lease.revoked = True
            lease.fresh.clear()
            lease.given_back.clear()
            if self._held.get(lease.partition) is lease:
                del self._held[lease.partition]
        self._share_out()

    def store(self, partition: TopicPartition, records: list[Record]) -> KafkaLease | None:
        """Take in what was fetched, in order.

        Returns the lease that this ended, if any: when offsets go back, the partition was made
        anew, and what is settled of the old one must not be committed on the new one.
        """
        lease = self._held.get(partition)
        lost = None
        if lease is not None and records[0].offset < lease.end:
            self.end([lost := lease])
            lease = None
        if lease is None:
            # The driver may hand records out just before it tells of the assignment.
            self.assign([partition])
            lease = self._held[partition]
        lease.store(records)
        return lost

    def hungry(self) -> list[TopicPartition]:
        """The partitions of which more should be fetched."""
        return [partition for partition, lease in self._held.items() if lease.is_hungry]

    def count_active(self) -> int:
        """How many leases may hand out, now or when there is room."""
        return sum([not (lease.paused or lease.revoked) for lease in self._held.values()])

    def take(self) -> list[Delivery]:
        """Hand out what waits, as far as there is room."""
        held = self._held
        room = self._max_in_flight - sum([lease.offsets.in_flight for lease in held.values()])
        taken: list[Delivery] = []
        for lease in list(held.values()):
            if room - len(taken) <= 0:
                break
            if lease.has_waiting:
                free = min(self._window - lease.offsets.in_flight, room - len(taken))
                if free > 0:
                    taken += lease.take(free)
                    held[lease.partition] = held.pop(lease.partition)
        return taken

    def _share_out(self) -> None:
        shares = max(1, len(self._held)) if self._shared else 1
        self._window = max(1, self._max_in_flight // shares)
        self.is_crowded = len(self._held) > self._max_in_flight
