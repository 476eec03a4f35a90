from bisect import insort

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dispytch.kafka.offsets import Offsets


class AgainstAPlainReference(RuleBasedStateMachine):
    """What is handed out, settled and given back, in any order, beside a list that says it all."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets = Offsets()
        self.end = 0
        self.unsettled: list[int] = []
        self.waiting: list[int] = []

    @rule(gaps=st.lists(st.integers(1, 5), max_size=5))
    def hand_out(self, gaps: list[int]) -> None:
        new = []
        for gap in gaps:
            self.end += gap
            new.append(self.end)
        self.unsettled += new
        self.offsets.hand_out(new)

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(self.unsettled))
        was_in_flight = offset not in self.waiting
        assert self.offsets.settle(offset) is was_in_flight
        if was_in_flight:
            self.unsettled.remove(offset)

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(self.unsettled))
        was_in_flight = offset not in self.waiting
        assert self.offsets.give_back(offset) is was_in_flight
        if was_in_flight:
            insort(self.waiting, offset)

    @precondition(lambda self: self.waiting)
    @rule()
    def hand_out_again(self) -> None:
        self.offsets.hand_out_again(self.waiting.pop(0))

    @rule(offset=st.integers(-5, 1000))
    def settle_a_stranger(self, offset: int) -> None:
        if offset not in self.unsettled:
            assert self.offsets.settle(offset) is False
            assert self.offsets.give_back(offset) is False

    @invariant()
    def the_position_is_the_oldest_that_is_not_settled(self) -> None:
        expected = min(self.unsettled, default=self.end + 1 if self.end else None)
        assert self.offsets.position == expected

    @invariant()
    def what_is_given_back_is_not_in_flight(self) -> None:
        assert self.offsets.in_flight == len(self.unsettled) - len(self.waiting)


TestAgainstAPlainReference = AgainstAPlainReference.TestCase


@given(st.permutations(range(12)))
def test_only_the_last_settlement_of_a_run_moves_the_position_past_it(order: list[int]) -> None:
    offsets = Offsets()
    offsets.hand_out(range(100, 124, 2))
    settled: set[int] = set()
    for number in order:
        offsets.settle(100 + 2 * number)
        settled.add(number)
        prefix = next((each for each in range(12) if each not in settled), None)
        assert offsets.position == (123 if prefix is None else 100 + 2 * prefix)


def test_nothing_handed_out_is_nothing_to_commit() -> None:
    assert Offsets().position is None


def test_handing_out_nothing_new_does_not_move_the_end_back() -> None:
    offsets = Offsets()
    offsets.hand_out([0, 1, 2])
    offsets.settle(2)
    offsets.give_back(0)
    offsets.hand_out_again(0)
    offsets.hand_out([])
    assert not offsets.is_done
    offsets.settle(0)
    offsets.settle(1)
    assert offsets.is_done
    assert offsets.position == 3
