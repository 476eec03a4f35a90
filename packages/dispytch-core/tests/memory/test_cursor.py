"""A group's place in a log, against the simplest model of it."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dispytch.memory.cursor import Cursor
from dispytch.memory.log import PartitionLog, Record

START = 3


class CursorMachine(RuleBasedStateMachine):
    """Every record is waiting, out or acked."""

    def __init__(self) -> None:
        super().__init__()
        self.log = PartitionLog(10_000)
        for _ in range(START):
            self.append()
        self.cursor = Cursor(self.log, START)
        self.waiting: list[int] = []
        self.out: list[int] = []

    @rule()
    def append(self) -> None:
        self.log.append(Record(None, b"%d" % self.log.end, (), 0))
        if self.log.end > START:
            self.waiting.append(self.log.end - 1)

    @rule(limit=st.integers(0, 5))
    def take(self, limit: int) -> None:
        taken = self.cursor.take(limit)
        expected = sorted(self.waiting)[:limit]
        assert [(at, found.value) for at, found in taken] == [(at, b"%d" % at) for at in expected]
        self.waiting = [position for position in self.waiting if position not in expected]
        self.out += expected

    @precondition(lambda self: self.out)
    @rule(data=st.data(), back=st.booleans())
    def settle(self, data: st.DataObject, back: bool) -> None:
        position = data.draw(st.sampled_from(self.out))
        assert (self.cursor.nack if back else self.cursor.ack)(position)
        self.out.remove(position)
        if back:
            self.waiting.append(position)

    @rule(position=st.integers(0, 40))
    def settle_what_is_not_out(self, position: int) -> None:
        if position not in self.out:
            assert not self.cursor.ack(position)
            assert not self.cursor.nack(position)

    @rule()
    def release(self) -> None:
        self.cursor.release()
        self.waiting += self.out
        self.out = []

    @invariant()
    def agrees(self) -> None:
        assert self.cursor.in_flight == len(self.out)
        assert self.cursor.has_waiting == bool(self.waiting)
        assert self.cursor.waiting == len(self.waiting)
        assert self.cursor.settled == min([*self.waiting, *self.out], default=self.log.end)


TestCursor = CursorMachine.TestCase
