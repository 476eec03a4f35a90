"""A partition that this consumer holds."""

from bisect import insort
from collections import deque
from dataclasses import dataclass, field

from dispytch.kafka.driver_types import Record, TopicPartition
from dispytch.kafka.offsets import Offsets
from dispytch.kafka.records import BrokenRecord
from dispytch.kafka.spelling import stream_of
from dispytch.messages import Delivery, Lease, Undecodable


@dataclass(eq=False, slots=True, kw_only=True)
class KafkaLease(Lease):
    """The hold on one partition, with what was fetched from it and not handed out.

    The driver discards what it has fetched for a partition that it is told to pause, so records
    are taken from it into a buffer here, a chunk at a time. They become deliveries at once: a
    record is the larger of the two, and what lives long is what Python's collector looks through.
    ``low`` is the size of the last chunk: a new one is asked for when less than that is left, so
    the buffer never holds more than two. ``begin`` and ``end`` are the offsets of the first record
    fetched and after the last.
    """

    partition: TopicPartition
    offsets: Offsets = field(default_factory=Offsets)
    fresh: deque[Delivery] = field(default_factory=deque[Delivery])
    given_back: list[Delivery] = field(default_factory=list[Delivery])
    low: int = 1
    begin: int | None = None
    end: int = 0
    committed: int | None = None
    paused: bool = False
    revoked: bool = False

    @classmethod
    def on(cls, partition: TopicPartition) -> "KafkaLease":
        """A new lease."""
        return cls(topic=partition[0], stream=stream_of(partition), partition=partition)

    @property
    def is_hungry(self) -> bool:
        """Whether more should be fetched."""
        return len(self.fresh) < self.low and not self.paused and not self.revoked

    @property
    def waiting(self) -> int:
        """How many lie here and are still to be handed out, for the first time or again."""
        return len(self.fresh) + len(self.given_back)

    @property
    def unsettled_from(self) -> int | None:
        """The oldest offset that was fetched and is not settled; None if nothing was fetched."""
        return self.begin if self.offsets.position is None else self.offsets.position

    @property
    def is_done(self) -> bool:
        """Whether all that was ever fetched is settled."""
        return not self.fresh and self.offsets.is_done

    @property
    def has_waiting(self) -> bool:
        """Whether there is something that could be handed out."""
        return bool((self.fresh or self.given_back) and not self.paused and not self.revoked)

    def store(self, records: list[Record]) -> None:
        """Take in what was fetched."""
        topic = self.topic
        # Nearly no record is broken, and all of them are looked at: none of it runs in Python.
        if BrokenRecord in set(map(type, records)):
            self.fresh += map(self._delivery, records)
        else:
            self.fresh += [
                Delivery(
                    topic,
                    record.value,
                    record.key,
                    tuple(record.headers),
                    self,
                    record.offset,
                    # One of the first format has none, and another may be without: it says -1.
                    record.timestamp if record.timestamp >= 0 else None,
                )
                for record in records
            ]
        self.low = len(records)
        if self.begin is None:
            self.begin = records[0].offset
        self.end = records[-1].offset + 1

    def _delivery(self, record: Record) -> Delivery:
        time = record.timestamp if record.timestamp >= 0 else None
        known = (record.value, record.key, tuple(record.headers), self, record.offset, time)
        if isinstance(record, BrokenRecord):
            return Undecodable(self.topic, *known, reason=record.reason)
        return Delivery(self.topic, *known)

    def take(self, room: int) -> list[Delivery]:
        """Hand out at most so many: first what was given back, then what is new."""
        again = self.given_back[:room]
        del self.given_back[:room]
        for delivery in again:
            self.offsets.hand_out_again(delivery.position)
        following = self.fresh.popleft
        fresh = [following() for _ in range(min(room - len(again), len(self.fresh)))]
        self.offsets.hand_out([delivery.position for delivery in fresh])
        return again + fresh

    def give_back(self, delivery: Delivery) -> None:
        """Have a delivery handed out again, before all that come after it in the partition."""
        if self.offsets.give_back(delivery.position):
            insort(self.given_back, delivery, key=_position)


def _position(delivery: Delivery) -> int:
    return delivery.position
