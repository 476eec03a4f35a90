"""Which delivery tags are told to the broker, against a model of the broker."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dispytch.rabbitmq.settlements import Settlements, Told


class BrokerModel(RuleBasedStateMachine):
    """The broker's own list of unsettled tags, and its rules for what it may be told."""

    def __init__(self) -> None:
        super().__init__()
        self.settlements = Settlements()
        self.last = 0
        self.at_broker: set[int] = set()
        self.acked: set[int] = set()
        self.nacked: set[int] = set()

    @rule()
    def deliver(self) -> None:
        self.last += 1
        self.at_broker.add(self.last)
        self.settlements.delivered(self.last)

    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        tag = data.draw(st.integers(1, self.last + 1))
        if tag <= self.last and tag not in self.acked | self.nacked:
            self.acked.add(tag)
        self.settlements.ack(tag)

    @rule(data=st.data())
    def nack(self, data: st.DataObject) -> None:
        tag = data.draw(st.integers(1, self.last + 1))
        if tag <= self.last and tag not in self.acked | self.nacked:
            self.nacked.add(tag)
        self.settlements.nack(tag)

    @rule()
    def tell_runs(self) -> None:
        self.tell(self.settlements.take_runs())

    @rule()
    def tell_all(self) -> None:
        self.tell(self.settlements.take_all())
        assert self.at_broker == set(range(1, self.last + 1)) - self.acked - self.nacked
        assert self.settlements.untold == 0

    def tell(self, told: Told) -> None:
        assert told.nacked == sorted(told.nacked)
        for tag in told.nacked:
            assert tag in self.nacked
            self.at_broker.remove(tag)
        for tag in told.acked:
            assert tag in self.acked
            self.at_broker.remove(tag)
        if told.acked_up_to is not None:
            # The broker closes the channel for a tag that it does not know any more.
            assert told.acked_up_to in self.at_broker
            covered = {tag for tag in self.at_broker if tag <= told.acked_up_to}
            assert covered <= self.acked
            self.at_broker -= covered

    @invariant()
    def nothing_but_settled_tags_is_gone(self) -> None:
        unsettled = set(range(1, self.last + 1)) - self.acked - self.nacked
        assert unsettled <= self.at_broker
        assert self.settlements.unsettled == len(unsettled)


BrokerModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSettlements = BrokerModel.TestCase


def test_what_lies_behind_an_open_one_may_wait_or_be_told_singly() -> None:
    settlements = Settlements()
    for tag in (1, 2, 3, 4):
        settlements.delivered(tag)
    for tag in (1, 4, 3):
        settlements.ack(tag)
    assert settlements.take_runs() == Told([], [], 1)
    assert settlements.untold == 2
    assert settlements.take_all() == Told([], [4, 3], None)


def test_nothing_is_kept_of_what_was_told_behind_one_that_stands() -> None:
    settlements = Settlements()
    settlements.delivered(1)
    for tag in range(2, 5_000):
        settlements.delivered(tag)
        settlements.ack(tag)
        settlements.take_all()
    assert len(settlements._open) == 1  # pyright: ignore[reportPrivateUsage]
