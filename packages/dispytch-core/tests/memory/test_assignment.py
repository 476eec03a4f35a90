"""Who reads which partition."""

from hypothesis import given
from hypothesis import strategies as st

from dispytch.memory.assignment import PartitionId, assign

TOPICS = ("a", "b", "c", "d")
topic_sets = st.sets(st.sampled_from(TOPICS))
groups = st.dictionaries(st.sampled_from("ABCDE"), topic_sets)
partitions = st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 9)).map(
    lambda sizes: [(topic, number) for topic, size in sizes.items() for number in range(size)]
)


def count(owners: dict[PartitionId, str], member: str, topic: str) -> int:
    return sum(owner == member and place[0] == topic for place, owner in owners.items())


@given(partitions=partitions, before=groups, after=groups)
def test_each_partition_goes_to_one_that_wants_it_evenly(
    partitions: list[PartitionId], before: dict[str, set[str]], after: dict[str, set[str]]
) -> None:
    owners = assign(partitions, after, assign(partitions, before, {}))
    wanted = {topic for topics in after.values() for topic in topics}
    assert set(owners) == {place for place in partitions if place[0] in wanted}
    assert all(place[0] in after[owner] for place, owner in owners.items())
    for topic in wanted:
        counts = [
            count(owners, member, topic) for member, topics in after.items() if topic in topics
        ]
        assert max(counts) - min(counts) <= 1


@given(partitions=partitions, members=st.sets(st.sampled_from("ABCDE"), min_size=1))
def test_members_that_want_the_same_get_the_same_in_all(
    partitions: list[PartitionId], members: set[str]
) -> None:
    owners = assign(partitions, {member: TOPICS for member in sorted(members)}, {})
    counts = [list(owners.values()).count(member) for member in members]
    assert max(counts) - min(counts) <= 1


@given(partitions=partitions, members=groups)
def test_nothing_moves_when_nothing_changes(
    partitions: list[PartitionId], members: dict[str, set[str]]
) -> None:
    owners = assign(partitions, members, {})
    assert assign(partitions, members, owners) == owners


def test_a_join_moves_no_more_than_evenness_asks_for() -> None:
    places = [("a", number) for number in range(60)]
    before = assign(places, {"A": "a"}, {})
    after = assign(places, {"A": "a", "B": "a"}, before)
    assert sum(before[place] != after[place] for place in places) == 30
    again = assign(places, {"A": "a", "B": "a", "C": "a"}, after)
    assert sum(after[place] != again[place] for place in places) == 20
    assert [count(again, member, "a") for member in "ABC"] == [20, 20, 20]
