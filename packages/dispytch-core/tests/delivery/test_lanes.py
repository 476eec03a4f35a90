"""Lanes against a plain reference, by property."""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dispytch.delivery.lanes import Lanes
from dispytch.messages import Delivery, Lease

KEYS = st.sampled_from([b"a", b"b", b"c", None])
LEASES = [Lease("orders", "orders[0]"), Lease("orders", "orders[1]")]


def delivery(position: int, key: bytes | None, lease: Lease = LEASES[0]) -> Delivery:
    return Delivery("orders", b"", key, (), lease=lease, position=position)


class LanesMachine(RuleBasedStateMachine):
    """Every event is served once, those of a key in order and one at a time, until dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes("key")
        self.count = 0
        self.expected: dict[object, list[int]] = defaultdict(list)
        self.taken: list[tuple[Delivery, object]] = []

    def track(self, one: Delivery) -> object:
        return (one.lease, one.key if one.key is not None else one.position)

    @rule(keys=st.lists(KEYS, max_size=6), lease=st.sampled_from(LEASES))
    def add(self, keys: list[bytes | None], lease: Lease) -> None:
        batch = []
        for key in keys:
            self.count += 1
            batch.append(delivery(self.count, key, lease))
            self.expected[self.track(batch[-1])].append(self.count)
        self.lanes.add(batch)

    @precondition(lambda self: self.lanes.ready)
    @rule()
    def take(self) -> None:
        first = self.lanes.take()
        track = self.track(first)
        assert all(track != other for _, other in self.taken), "two takers of one key"
        assert self.expected[track][0] == first.position, "out of order"
        self.taken.append((first, track))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def advance(self, data: st.DataObject) -> None:
        which = data.draw(st.integers(0, len(self.taken) - 1), label="which")
        done, track = self.taken.pop(which)
        if done.position in self.expected[track]:
            self.expected[track].remove(done.position)
        self.lanes.advance(done)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        first, _ = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1), label="which"))
        self.lanes.again(first, [])

    @precondition(lambda self: not self.taken)
    @rule(lease=st.sampled_from(LEASES))
    def drop(self, lease: Lease) -> None:
        self.lanes.drop([lease])
        for track in list(self.expected):
            if isinstance(track, tuple) and track[0] is lease:
                del self.expected[track]

    @invariant()
    def nothing_is_forgotten(self) -> None:
        ready = [one.position for one in self.lanes.ready]
        taken = [one.position for one, _ in self.taken]
        first = [positions[0] for positions in self.expected.values() if positions]
        assert sorted(ready + taken) == sorted(first)

    def teardown(self) -> None:
        for one, _ in self.taken:
            self.lanes.advance(one)
        while self.lanes.ready:
            self.lanes.advance(self.lanes.take())
        streams = self.lanes._streams.values()
        assert not any(stream.lanes for stream in streams), "a lane without events is kept"


TestLanes = LanesMachine.TestCase
TestLanes.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_stream_is_one_lane_when_partitions_are_ordered() -> None:
    lanes = Lanes("partition")
    lanes.add([delivery(1, b"a"), delivery(2, b"b"), delivery(3, None)])
    lanes.add([delivery(4, b"a", LEASES[1])])
    assert [one.position for one in lanes.ready] == [1, 4]


def test_every_event_has_a_lane_when_nothing_is_ordered() -> None:
    lanes = Lanes("none")
    lanes.add([delivery(1, b"a"), delivery(2, b"a")])
    assert [one.position for one in lanes.ready] == [1, 2]


def test_a_dropped_lane_that_is_given_back_stays_dropped() -> None:
    lanes = Lanes("key")
    lanes.add([delivery(1, b"a"), delivery(2, b"a"), delivery(3, None), delivery(4, b"b")])
    taken = [lanes.take(), lanes.take()]
    lanes.drop([LEASES[0]])
    lanes.advance(taken[0])
    lanes.again(taken[1], [])
    assert not lanes.ready


def test_keys_of_a_lease_that_was_dropped_and_came_again_start_afresh() -> None:
    lanes = Lanes("key")
    lanes.add([delivery(1, b"a"), delivery(2, b"a")])
    old = lanes.take()
    lanes.drop([LEASES[0]])
    lanes.add([delivery(1, b"a")])
    lanes.advance(old)
    assert [one.position for one in lanes.ready] == [1]
    lanes.advance(lanes.take())
    assert not lanes.ready


def served(lanes: Lanes) -> list[int]:
    """The positions of what is still to be run, in the order in which it is."""
    positions: list[int] = []
    while lanes.ready:
        positions.append(lanes.ready[0].position)
        lanes.advance(lanes.take())
    return positions


def test_retiring_keeps_what_lies_before_an_event_that_has_started() -> None:
    lanes = Lanes("key", fill_gaps=True)
    keys = [b"a", b"a", b"b", None, b"c", b"a", None, b"b"]
    lanes.add([delivery(position, key) for position, key in enumerate(keys)])
    lanes.add([delivery(0, b"x", LEASES[1]), delivery(1, b"x", LEASES[1])])
    running, other, third = lanes.take(), lanes.take(), lanes.take()
    assert [running.position, other.position, third.position] == [0, 2, 3]
    lanes.again(running, [])
    lanes.retire(LEASES[:1])
    assert [one.stream for one in {one.lease: one.lease for one in lanes.ready}] == [
        "orders[1]",
        "orders[0]",
    ], "the other stream is untouched"
    assert [one.position for one in lanes.ready] == [0, 0]
    lanes.retire(None)
    assert lanes.has_ready(LEASES[:1])
    assert not lanes.has_ready(LEASES[1:]), "nothing of it has started"
    lanes.advance(other)
    assert served(lanes) == [0, 1], "both lie before 3, so they must be run"


def test_retiring_and_dropping_everything() -> None:
    lanes = Lanes("key", fill_gaps=True)
    lanes.add([delivery(position, key) for position, key in enumerate([b"a", b"a", b"b", b"c"])])
    lanes.take()
    running = lanes.take()
    lanes.drop_all()
    assert not lanes.has_ready(None)
    lanes.advance(running)
    assert not lanes.has_ready(None)


def test_without_gaps_to_fill_retiring_drops_all_that_has_not_started() -> None:
    lanes = Lanes("key")
    lanes.add([delivery(position, b"a") for position in range(3)])
    running = lanes.take()
    lanes.retire(None)
    lanes.advance(running)
    assert not lanes.has_ready(None)
