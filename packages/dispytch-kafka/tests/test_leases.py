from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from dispytch.kafka.driver import partition_of
from dispytch.kafka.lease import KafkaLease
from dispytch.kafka.leases import Leases


@dataclass
class FakeRecord:
    offset: int
    timestamp: int = 7
    key: bytes | None = b"key"
    value: bytes | None = b"value"
    headers: tuple[tuple[str, bytes | None], ...] = field(default=(("h", b"1"),))


def _records(*offsets: int) -> list[FakeRecord]:
    return [FakeRecord(offset) for offset in offsets]


def _leases(max_in_flight: int, partitions: int) -> Leases:
    leases = Leases(max_in_flight)
    leases.assign([partition_of("t", number) for number in range(partitions)])
    return leases


@given(
    max_in_flight=st.integers(1, 20),
    waiting=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    data=st.data(),
)
def test_the_window_holds_and_each_partition_keeps_its_order(
    max_in_flight: int, waiting: list[int], data: st.DataObject
) -> None:
    leases = _leases(max_in_flight, len(waiting))
    for number, count in enumerate(waiting):
        if count:
            leases.store(partition_of("t", number), _records(*range(count)))
    share = max(1, max_in_flight // len(waiting))
    open_ones = []
    order: dict[str, list[int]] = {}
    while sum(map(len, order.values())) < sum(waiting):
        taken = leases.take()
        open_ones += taken
        for delivery in taken:
            order.setdefault(delivery.lease.stream, []).append(delivery.position)
        assert 0 < len(open_ones) <= max_in_flight
        streams = [delivery.lease.stream for delivery in open_ones]
        assert max(map(streams.count, streams)) <= share
        done = open_ones.pop(data.draw(st.integers(0, len(open_ones) - 1)))
        assert isinstance(done.lease, KafkaLease)
        done.lease.offsets.settle(done.position)
    assert all(positions == list(range(len(positions))) for positions in order.values())


def test_no_partition_waits_for_ever_when_there_are_more_than_places() -> None:
    leases = _leases(2, 5)
    for number in range(5):
        leases.store(partition_of("t", number), _records(*range(100)))
    seen = set()
    for _ in range(5):
        for delivery in leases.take():
            seen.add(delivery.lease.stream)
            delivery.lease.offsets.settle(delivery.position)  # type: ignore[attr-defined]
    assert leases.is_crowded
    assert len(seen) == 5


def test_what_is_given_back_comes_first_in_its_old_order_and_holds_the_position() -> None:
    leases = _leases(10, 1)
    leases.store(partition_of("t", 0), _records(3, 5, 6, 9, 12))
    (lease,) = leases
    deliveries = leases.take()
    for delivery in reversed(deliveries[1:4]):
        lease.give_back(delivery)
        lease.give_back(delivery)
    lease.offsets.settle(3)
    leases.store(partition_of("t", 0), _records(20))
    assert lease.offsets.position == 5
    again = leases.take()
    assert [delivery.position for delivery in again] == [5, 6, 9, 20]
    assert again[:3] == deliveries[1:4]


def test_offsets_that_go_back_end_the_lease() -> None:
    leases = _leases(10, 1)
    assert leases.store(partition_of("t", 0), _records(5, 6)) is None
    (old,) = leases
    leases.take()
    assert leases.store(partition_of("t", 0), _records(0, 1)) is old
    assert old.ended
    (new,) = leases
    assert new is not old
    assert [delivery.position for delivery in leases.take()] == [0, 1]


def test_records_that_come_before_their_assignment_are_kept() -> None:
    leases = Leases(10)
    leases.store(partition_of("t", 3), _records(1))
    (early,) = leases
    leases.assign([partition_of("t", 3), partition_of("t", 4)])
    assert early in list(leases)
    assert [delivery.position for delivery in leases.take()] == [1]


def test_only_what_runs_low_and_may_be_handed_out_is_hungry() -> None:
    leases = _leases(100, 4)
    full, low, paused, revoked = leases
    for lease in (full, low, paused, revoked):
        leases.store(lease.partition, _records(*range(10)))
    low.take(1)
    paused.take(10)
    paused.paused = True
    revoked.take(10)
    revoked.revoked = True
    assert leases.hungry() == [low.partition]
    assert leases.count_active() == 2


def test_an_ended_lease_hands_nothing_out() -> None:
    leases = _leases(100, 2)
    for lease in leases:
        leases.store(lease.partition, _records(1))
    ended, kept = leases
    leases.end([ended])
    assert [delivery.lease for delivery in leases.take()] == [kept]
    assert ended.ended


def test_what_is_null_stays_null_and_a_time_that_is_missing_is_none() -> None:
    headers = (("a", None), ("b", b"1"), ("c", b""))
    leases = _leases(2, 1)
    bare = FakeRecord(0, timestamp=-1, value=None, headers=headers)
    leases.store(partition_of("t", 0), [bare, FakeRecord(1, value=b"")])
    tombstone, empty = leases.take()
    assert (tombstone.value, tombstone.headers, tombstone.timestamp_ms) == (None, headers, None)
    assert (empty.value, empty.timestamp_ms) == (b"", 7)
