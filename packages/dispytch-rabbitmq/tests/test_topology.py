"""Names and arguments of what stands at the broker."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dispytch.exceptions import TopologyError
from dispytch.rabbitmq.topology import check_topics, group_queues, queue_arguments, routing_key

words = st.text("abz09-_", min_size=1, max_size=8)
topics = st.lists(words, min_size=1, max_size=4).flatmap(
    lambda parts: st.lists(st.sampled_from(".:"), min_size=len(parts), max_size=len(parts)).map(
        lambda marks: "".join(a + b for a, b in zip(parts, marks, strict=True))[:-1]
    )
)
groups = st.text("ab.:-", min_size=1, max_size=8)


def test_a_colon_separates_words_as_a_dot_does() -> None:
    assert routing_key("order:42:paid") == routing_key("order.42.paid") == "order.42.paid"


@given(topics, groups, topics, groups)
def test_no_two_pairs_of_topic_and_group_share_a_queue(
    topic: str, group: str, other_topic: str, other_group: str
) -> None:
    assume((routing_key(topic), group) != (routing_key(other_topic), other_group))
    (queue,) = group_queues((topic,), group, "quorum", None)
    (other,) = group_queues((other_topic,), other_group, "quorum", None)
    assert queue.name != other.name


def test_a_queue_keeps_the_subscribers_spelling_of_its_topic() -> None:
    (queue,) = group_queues(("a:b",), "g", "quorum", None)
    assert (queue.topic, queue.routing_key, queue.name) == ("a:b", "a.b", "a.b:g")


def test_a_quorum_queue_never_falls_back_to_the_brokers_own_delivery_limit() -> None:
    assert queue_arguments("quorum", None)["x-delivery-limit"] > 10**9
    assert queue_arguments("quorum", 7)["x-delivery-limit"] == 7
    assert queue_arguments("classic", None) == {"x-queue-type": "classic"}


@pytest.mark.parametrize(
    ("topic", "says"),
    [
        ("", "allowed are"),
        ("a{b}", "allowed are"),
        ("größe", "allowed are"),
        ("amq.thing", "reserves"),
        ("a" * 256, "256 bytes"),
        ("user.*", "stand for other words"),
        ("logs:#", "stand for other words"),
    ],
)
def test_a_name_that_the_broker_cannot_have_is_refused(topic: str, says: str) -> None:
    with pytest.raises(TopologyError, match=says):
        check_topics((topic,))


def test_two_spellings_of_one_topic_are_refused() -> None:
    with pytest.raises(TopologyError, match="use one spelling"):
        check_topics(("a:b", "a.b"))
    check_topics(("a:b", "a:b"))


def test_topic_and_group_together_must_fit_into_a_queue_name() -> None:
    with pytest.raises(TopologyError, match="shorten"):
        group_queues(("a" * 200,), "b" * 60, "quorum", None)


def test_exchanges_of_one_virtual_host_share_no_queue() -> None:
    names = {
        group_queues(("t",), group, "quorum", None, exchange=exchange)[0].name
        for group, exchange in (("g", "dispytch"), ("g", "other"), ("g", "third"), ("h", "other"))
    }
    assert len(names) == 4
    assert "t:g" in names
