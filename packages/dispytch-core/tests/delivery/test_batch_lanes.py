"""Lanes that hand out batches against a plain reference, by property."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from dispytch.batch import Batch
from dispytch.delivery.batch_lanes import BatchLane, BatchLanes
from dispytch.events import Event
from dispytch.messages import Delivery, Lease
from dispytch.routing import Batching

LEASES = [Lease("orders", "orders[0]"), Lease("orders", "orders[1]")]
KEYS = st.sampled_from([b"a", b"b", None])
SIZE, SHARE = 3, 7


async def run(events: list[Event[Any]]) -> None: ...


def delivery(
    position: int, key: bytes | None, lease: Lease = LEASES[0], topic: str = "orders"
) -> Delivery:
    return Delivery(topic, b"", key, (), lease=lease, position=position)


class Alarm:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Track:
    """What the reference knows of one lane: its state, the batch in hand, and what waits."""

    lease: Lease
    state: str = "filling"
    batch: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)

    @property
    def held(self) -> int:
        return len(self.batch) + len(self.behind)


class BatchLanesMachine(RuleBasedStateMachine):
    """Every event is handed out, in the order of its lane, in batches; what is left goes first."""

    @initialize(by=st.sampled_from(["topic", "key"]))
    def begin(self, by: Any) -> None:
        self.by = by
        batching = Batching(Batch(SIZE, by=by), run)
        self.waited = False
        self.alarms: dict[BatchLane, Alarm] = {}
        self.lanes = BatchLanes(
            "key",
            batching_of=lambda one: batching if one.topic == "orders" else None,
            share=lambda: SHARE,
            set_alarm=self.set_alarm,
        )
        self.count = 0
        self.tracks: dict[object, Track] = {}
        self.single: list[tuple[Lease, int]] = []
        self.leases = list(LEASES)
        self.taken: list[tuple[BatchLane, object]] = []
        self.owed: list[tuple[BatchLane, object]] = []

    def set_alarm(self, lane: BatchLane) -> Alarm | None:
        if self.waited:
            return None
        self.alarms[lane] = alarm = Alarm()
        return alarm

    def track_of(self, one: Delivery) -> object:
        return (one.lease.stream, one.key if self.by == "key" else "all")

    def fill(self, track: Track) -> None:
        waits = len(track.behind) < SIZE and not self.waited
        track.state = "filling" if waits else "ready"

    def hurry_if_full(self, lease: Lease) -> None:
        tracks = [track for track in self.tracks.values() if track.lease is lease]
        busy = any(track.state in ("ready", "taken") for track in tracks)
        if sum(track.held for track in tracks) >= SHARE and not busy:
            for track in tracks:
                track.state = "ready" if track.state == "filling" else track.state

    @rule(keys=st.lists(KEYS, max_size=8), which=st.integers(0, 1), waited=st.booleans())
    def add(self, keys: list[bytes | None], which: int, waited: bool) -> None:
        lease = self.leases[which]
        self.waited = waited
        batch: list[Delivery] = []
        for key in keys:
            self.count += 1
            batch.append(delivery(self.count, key, lease))
            name = self.track_of(batch[-1])
            if name not in self.tracks:
                track = self.tracks[name] = Track(lease, behind=[self.count])
                self.fill(track)
            else:
                track = self.tracks[name]
                track.behind.append(self.count)
                if track.state == "filling" and len(track.behind) >= SIZE:
                    track.state = "ready"
        self.lanes.add(batch)
        if keys:
            self.hurry_if_full(lease)

    @rule(which=st.integers(0, 1))
    def add_single(self, which: int) -> None:
        lease = self.leases[which]
        self.count += 1
        self.single.append((lease, self.count))
        # Of a key that a batch lane of the same stream may have, too.
        self.lanes.add([delivery(self.count, None, lease, "others")])

    @precondition(lambda self: self.lanes.ready)
    @rule()
    def take(self) -> None:
        first = self.lanes.take()
        lane = self.lanes.begin(first)
        if lane is None:
            self.single.remove((first.lease, first.position))
            self.lanes.advance(first)
            return
        assert lane.first is first
        name = self.track_of(lane.first)
        track = self.tracks[name]
        assert track.state == "ready"
        if not track.batch:
            track.batch, track.behind = track.behind[:SIZE], track.behind[SIZE:]
        assert [one.position for one in lane.taken] == track.batch
        assert lane.first.position == track.batch[0]
        track.state = "taken"
        self.taken.append((lane, name))

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), waited=st.booleans())
    def give_back(self, data: st.DataObject, waited: bool) -> None:
        self.waited = waited
        which = data.draw(st.integers(0, len(self.taken) - 1), label="which")
        lane, name = self.taken.pop(which)
        done = data.draw(st.sets(st.sampled_from(list(lane.taken))), label="done")
        self._give_back(lane, name, done)

    def _give_back(self, lane: BatchLane, name: object, done: set[Delivery]) -> None:
        left = {one: owed for one, owed in lane.taken.items() if one not in done}
        self.lanes.give_back(lane, left)
        track = self.tracks.get(name)
        if track is None or lane.gone:
            return
        track.batch = [one.position for one in left]
        if track.batch:
            track.state = "owed"
            self.owed.append((lane, name))
        elif track.behind:
            self.fill(track)
        else:
            del self.tracks[name]
        self.hurry_if_full(lane.stream.lease)

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        lane, name = self.owed.pop(data.draw(st.integers(0, len(self.owed) - 1), label="which"))
        self.lanes.resume(lane)
        if not lane.gone:
            self.tracks[name].state = "ready"

    @precondition(lambda self: self.alarms)
    @rule(data=st.data())
    def ripen(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(list(self.alarms)), label="lane")
        if not self.alarms.pop(lane).cancelled:
            track = self.tracks[self.track_of(lane.first)]
            assert track.state == "filling"
            track.state = "ready"
        self.lanes.ripen(lane)

    @rule(which=st.integers(0, 1))
    def drop(self, which: int) -> None:
        lease = self.leases[which]
        self.lanes.drop([lease])
        self.tracks = {
            name: track for name, track in self.tracks.items() if track.lease is not lease
        }
        self.single = [one for one in self.single if one[0] is not lease]
        # A stream that is assigned again has another lease.
        self.leases[which] = Lease(lease.topic, lease.stream)

    @invariant()
    def every_lane_is_where_it_should_be(self) -> None:
        if not hasattr(self, "lanes"):
            return
        lanes = self.lanes._ready_lanes
        ready = [one.position for one in self.lanes.ready if one in lanes]
        expected = {
            track.batch[0] if track.batch else track.behind[0]
            for track in self.tracks.values()
            if track.state == "ready"
        }
        assert set(ready) == expected
        assert len(ready) == len(expected)
        filling = {one.first.position for one, alarm in self.alarms.items() if not alarm.cancelled}
        assert filling == {
            track.behind[0] for track in self.tracks.values() if track.state == "filling"
        }
        alone = [one.position for one in self.lanes.ready if one not in lanes]
        assert alone == [position for _, position in self.single]

    def teardown(self) -> None:
        if not hasattr(self, "lanes"):
            return
        self.waited = True
        for lane, name in self.taken:
            self._give_back(lane, name, set(lane.taken))
        for lane, name in self.owed:
            self.lanes.resume(lane)
            if not lane.gone:
                self.tracks[name].state = "ready"
        for lane in [lane for lane, alarm in self.alarms.items() if not alarm.cancelled]:
            self.lanes.ripen(lane)
        served: set[int] = set()
        while self.lanes.ready:
            first = self.lanes.take()
            lane = self.lanes.begin(first)
            if lane is not None:
                served |= {one.position for one in lane.taken}
                self.lanes.give_back(lane, {})
            else:
                self.lanes.advance(first)
        assert served == {
            position for track in self.tracks.values() for position in (*track.batch, *track.behind)
        }
        streams = self.lanes._streams.values()
        assert not any(one.lanes or one.batches or one.held or one.busy for one in streams)
        assert not self.lanes._ready_lanes


TestBatchLanes = BatchLanesMachine.TestCase
TestBatchLanes.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


def lanes_of(
    batch: Batch, *, ordering: Any = "key", share: int = 100, fill_gaps: bool = False
) -> BatchLanes:
    batching = Batching(batch, run)
    return BatchLanes(
        ordering,
        batching_of=lambda one: batching if one.topic == "orders" else None,
        share=lambda: share,
        set_alarm=lambda lane: Alarm(),
        fill_gaps=fill_gaps,
    )


def begun(lanes: BatchLanes) -> BatchLane:
    """The batch lane that has been ready for longest, with the batch that was taken."""
    lane = lanes.begin(lanes.take())
    assert lane is not None
    return lane


def taken(lane: BatchLane) -> list[int]:
    return [one.position for one in lane.taken]


def test_without_an_order_a_full_batch_makes_room_for_the_next() -> None:
    lanes = lanes_of(Batch(2), ordering="none")
    lanes.add([delivery(position, b"a") for position in range(5)])
    batches = [begun(lanes), begun(lanes)]
    assert [taken(lane) for lane in batches] == [[0, 1], [2, 3]]
    assert not lanes.ready
    for lane in batches:
        lanes.give_back(lane, {})
    lanes.add([delivery(5, b"b")])
    assert taken(begun(lanes)) == [4, 5]


def test_retiring_forgets_what_fills_and_lets_a_batch_end() -> None:
    lanes = lanes_of(Batch(2))
    lanes.add([delivery(position, b"a") for position in range(3)])
    running = begun(lanes)
    lanes.retire(None)
    lanes.give_back(running, {})
    assert not lanes.has_ready(None)


def test_what_fills_before_an_event_that_has_started_is_run_at_once() -> None:
    lanes = lanes_of(Batch(3, by="key"), fill_gaps=True)
    keys = [b"a", b"b", b"a", b"b", b"b", b"a", b"a", b"c"]
    lanes.add([delivery(position, key) for position, key in enumerate(keys)])
    running = begun(lanes)
    assert taken(running) == [1, 3, 4]
    second = begun(lanes)
    assert taken(second) == [0, 2, 5]
    lanes.retire(None)
    assert not lanes.ready, "6 and 7 lie behind all that has started"

    lanes = lanes_of(Batch(3, by="key"), fill_gaps=True)
    lanes.add([delivery(position, key) for position, key in enumerate(keys[:5])])
    assert taken(begun(lanes)) == [1, 3, 4]
    assert not lanes.ready
    lanes.retire(LEASES[1:])
    assert not lanes.ready, "another stream"
    lanes.retire(LEASES[:1])
    assert taken(begun(lanes)) == [0, 2], "without them, 4 could not be told to the broker"


def test_what_is_left_behind_a_gap_does_not_fill_again() -> None:
    lanes = lanes_of(Batch(2, by="key"), fill_gaps=True)
    keys = [b"a", b"a", b"a", b"b", b"b"]
    lanes.add([delivery(position, key) for position, key in enumerate(keys)])
    first, second = begun(lanes), begun(lanes)
    assert (taken(first), taken(second)) == ([0, 1], [3, 4])
    lanes.retire(None)
    lanes.give_back(first, {})
    assert taken(begun(lanes)) == [2]


@pytest.mark.parametrize("key", [b"a", None])
def test_single_events_of_the_same_key_and_stream_have_lanes_of_their_own(
    key: bytes | None,
) -> None:
    lanes = lanes_of(Batch(2, by="key"))
    lanes.add([delivery(0, key), delivery(1, key, topic="others"), delivery(2, key)])
    assert {one.position for one in lanes.ready} == {0, 1}
