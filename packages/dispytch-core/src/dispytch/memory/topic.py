"""Topics, their partitions, and the partitions as groups read them."""

from collections.abc import Callable
from zlib import crc32

from dispytch.memory.bell import Bell
from dispytch.memory.cursor import Cursor
from dispytch.memory.log import PartitionLog, Record
from dispytch.messages import Message
from dispytch.transport import StartAt


def _to_nobody() -> None:
    """Takes the news of a stream that no consumer holds."""


class Stream:
    """One partition as one group reads it.

    ``arrived`` is called when a record has been added; the consumer that holds the stream sets it.
    """

    __slots__ = ("_partition", "arrived", "cursor", "name", "room", "topic")

    def __init__(self, partition: "Partition", cursor: Cursor) -> None:
        self._partition = partition
        self.topic: str = partition.topic
        self.name: str = partition.name
        self.room: Bell = partition.room
        self.cursor: Cursor = cursor
        self.arrived: Callable[[], None] = _to_nobody

    def release(self) -> None:
        """Take it from its consumer; what is unsettled waits for the next one."""
        self.arrived = _to_nobody
        self.cursor.release()

    def close(self) -> None:
        """Have the partition keep nothing for this stream any more."""
        self._partition.forget(self)


class Partition:
    """A log, and the groups that read it. ``room`` is rung when a full log may have room again."""

    def __init__(self, topic: str, number: int, *, retention: int, room: Bell) -> None:
        self.topic: str = topic
        self.name: str = f"{topic}[{number}]"
        self.room: Bell = room
        self._log = PartitionLog(retention)
        self._streams: list[Stream] = []

    @property
    def is_read(self) -> bool:
        """Whether any group reads it, or did."""
        return bool(self._streams)

    def append(self, record: Record) -> bool:
        """Add a record, in place of the oldest if need be; False if some group still needs that."""
        if self._log.full and not self._discarded():
            return False
        self._log.append(record)
        for stream in self._streams:
            stream.arrived()
        return True

    def message(self, position: int) -> Message | None:
        """The message at a position, if it is still there."""
        if not self._log.start <= position < self._log.end:
            return None
        record = self._log.read(position, 1)[0]
        return Message(self.topic, record.value, record.key, record.headers)

    def stream(self, start_at: StartAt) -> Stream:
        """The partition for a group that has not read it yet."""
        position = self._log.start if start_at == "earliest" else self._log.end
        stream = Stream(self, Cursor(self._log, position))
        self._streams.append(stream)
        return stream

    def forget(self, stream: Stream) -> None:
        """Count one reader less."""
        self._streams.remove(stream)
        self.room.ring()

    def _discarded(self) -> bool:
        if any(stream.cursor.settled <= self._log.start for stream in self._streams):
            return False
        self._log.discard_oldest()
        return True


class Topic:
    """A name and its partitions, whose number is fixed when it is made."""

    def __init__(self, name: str, *, partitions: int, retention: int, room: Bell) -> None:
        self.name: str = name
        self.partitions: list[Partition] = [
            Partition(name, number, retention=retention, room=room) for number in range(partitions)
        ]
        self._unkeyed = 0

    @property
    def is_read(self) -> bool:
        """Whether any group reads it, or did."""
        return any(partition.is_read for partition in self.partitions)

    def partition_for(self, key: bytes | None) -> Partition:
        """Always the same one for a key; each in turn without one."""
        if key is None:
            self._unkeyed += 1
        number = self._unkeyed if key is None else crc32(key)
        return self.partitions[number % len(self.partitions)]
