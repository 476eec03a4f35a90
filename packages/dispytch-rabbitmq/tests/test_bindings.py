"""Which queues a group has for its topics and patterns."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from dispytch.rabbitmq.bindings import Intake, former_intakes, intakes
from dispytch.topics import TopicPattern

TOPICS = [".".join(words) for length in (1, 2, 3) for words in product("ab", repeat=length)]
named = st.lists(st.sampled_from(TOPICS), max_size=4, unique=True)
heads = st.lists(st.sampled_from(["a", "b", "*"]), max_size=3)


def pattern(text: str) -> TopicPattern:
    found = TopicPattern.of(text)
    assert found is not None
    return found


one_pattern = st.builds(
    lambda head, last: pattern(".".join([*head, last])), heads, st.sampled_from(["#", "*"])
)
wild = st.lists(one_pattern, max_size=5, unique_by=lambda one: one.shape)


def binds(intake: Intake, topic: str) -> bool:
    """Whether the broker puts a message to this topic into the queue."""
    compiled = [(key, TopicPattern.of(key)) for key in intake.keys]
    return any(
        key == topic if pattern is None else pattern.matches(topic) for key, pattern in compiled
    )


@given(named, wild)
def test_each_message_lies_in_one_queue_if_the_group_wants_it(
    topics: list[str], patterns: list[TopicPattern]
) -> None:
    found = intakes(topics, patterns)
    for topic in TOPICS:
        wanted = topic in topics or any(one.matches(topic) for one in patterns)
        assert sum(binds(intake, topic) for intake in found) == wanted
    assert len({intake.name for intake in found}) == len(found)
    assert not any(intake.former for intake in found)


@given(named, wild)
def test_nothing_is_both_present_and_former(
    topics: list[str], patterns: list[TopicPattern]
) -> None:
    former = former_intakes(topics, patterns)
    assert all(intake.former for intake in former)
    names = [intake.name for intake in [*former, *intakes(topics, patterns)]]
    assert len(set(names)) == len(names)


@given(named, wild, st.data())
def test_what_a_group_had_when_it_took_less_is_known(
    topics: list[str], patterns: list[TopicPattern], data: st.DataObject
) -> None:
    fewer_topics = [one for one in topics if data.draw(st.booleans())]
    fewer = [one for one in patterns if data.draw(st.booleans())]
    before = intakes(fewer_topics, fewer)
    known = [*intakes(topics, patterns), *former_intakes(topics, patterns)]
    assert {intake.keys for intake in before} <= {intake.keys for intake in known}


def test_what_is_covered_and_what_overlaps() -> None:
    found = intakes(
        ["user.created", "orders", "logs.x"],
        [pattern(text) for text in ("user.*", "*.created", "logs.x.#", "logs.x.*", "x.y.z.*")],
    )
    assert {intake.name for intake in found} == {
        "orders",
        "#.one.created.#.or.user.#.one",
        "logs.x.#.all",
        "x.y.z.#.one",
    }


def test_a_group_that_takes_everything_has_one_queue_and_empties_the_others() -> None:
    patterns = [pattern(text) for text in ("#", "user.*", "*.created")]
    assert [intake.name for intake in intakes(["orders"], patterns)] == ["#.all"]
    assert {intake.name for intake in former_intakes(["orders"], patterns)} == {
        "orders",
        "user.#.one",
        "#.one.created",
        "#.one.created.#.or.user.#.one",
    }
