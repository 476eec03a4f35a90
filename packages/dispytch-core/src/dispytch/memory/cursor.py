"""A group's place in the log of one partition."""

from collections.abc import Sequence

from dispytch.memory.log import PartitionLog, Record


class Cursor:
    """What a group has been handed out of one log, and what of it is settled.

    A record is waiting, out, or settled. A waiting one was given back, or not reached yet.
    """

    __slots__ = ("_given_back", "_log", "_next", "_out", "_settled")

    def __init__(self, log: PartitionLog, position: int) -> None:
        self._log = log
        self._next = position
        self._settled = position
        self._out: set[int] = set()
        self._given_back: set[int] = set()

    @property
    def in_flight(self) -> int:
        """How many records are out."""
        return len(self._out)

    @property
    def has_waiting(self) -> bool:
        """Whether `take` would return something."""
        return self._next < self._log.end or bool(self._given_back)

    @property
    def waiting(self) -> int:
        """How many records are waiting."""
        return self._log.end - self._next + len(self._given_back)

    @property
    def settled(self) -> int:
        """The position before which everything is settled."""
        while self._settled < self._next and not self._owes(self._settled):
            self._settled += 1
        return self._settled

    def take(self, limit: int) -> Sequence[tuple[int, Record]]:
        """Hand out up to ``limit`` waiting records, the oldest first, with their positions."""
        again = self._again(limit) if self._given_back else []
        fresh = self._log.read(self._next, limit - len(again))
        taken = [*again, *enumerate(fresh, self._next)]
        reached = self._next + len(fresh)
        self._out.update(range(self._next, reached))
        self._next = reached
        return taken

    def ack(self, position: int) -> bool:
        """Settle a record; returns whether it was out."""
        try:
            self._out.remove(position)
        except KeyError:
            return False
        return True

    def nack(self, position: int) -> bool:
        """Give a record back, to be taken again; returns whether it was out."""
        if not self.ack(position):
            return False
        self._given_back.add(position)
        return True

    def release(self) -> None:
        """Give everything back that is out."""
        self._given_back |= self._out
        self._out.clear()

    def _owes(self, position: int) -> bool:
        return position in self._out or position in self._given_back

    def _again(self, limit: int) -> list[tuple[int, Record]]:
        positions = sorted(self._given_back)[:limit]
        self._given_back.difference_update(positions)
        self._out.update(positions)
        return [(position, self._log.read(position, 1)[0]) for position in positions]
