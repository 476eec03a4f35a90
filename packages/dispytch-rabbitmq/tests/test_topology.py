"""Names and arguments of what stands at the broker."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dispytch.exceptions import TopologyError
from dispytch.rabbitmq.bindings import routing_key
from dispytch.rabbitmq.topology import (
    check_patterns,
    check_topics,
    group_queues,
    queue_arguments,
)
from dispytch.topics import TopicPattern

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
    assert (queue.topic, queue.routing_keys, queue.name) == ("a:b", ("a.b",), "a.b:g")
    assert queue.topic_of("a.b") == "a:b"


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


def patterns(*texts: str) -> tuple[TopicPattern, ...]:
    return tuple(pattern for text in texts if (pattern := TopicPattern.of(text)))


def test_a_pattern_s_queue_spells_topics_as_the_subscriber_does() -> None:
    queues = group_queues(
        ("order:new",), "g", "quorum", None, patterns=patterns("order:{id}", "logs.#", "order:1:*")
    )
    of_name = {queue.name: queue for queue in queues}
    assert set(of_name) == {"order.#.one:g", "logs.#.all:g", "order.1.#.one:g"}
    spelled = {
        "order.new": "order:new",
        "order.7": "order:7",
        "order.1.x": "order:1:x",
        "logs": "logs",
        "logs.a.b": "logs.a.b",
        "other:key": "other:key",
    }
    for queue in queues:
        assert {key: queue.topic_of(key) for key in spelled} == spelled


def test_partitions_of_a_pattern_stand_behind_an_exchange_that_is_bound_by_it() -> None:
    queues = group_queues((), "g", "quorum", None, 2, patterns=patterns("user.*", "*.new"))
    assert [queue.name for queue in queues] == [
        f"#.one.new.#.or.user.#.one.#.{number}:g" for number in (0, 1)
    ]
    assert {queue.hash_exchange for queue in queues} == {"#.one.new.#.or.user.#.one:g"}
    assert {queue.routing_keys for queue in queues} == {("*.new", "user.*")}


@pytest.mark.parametrize("text", ["gr\u00fc\u00dfe.*", "a|b.#", "amq.#"])
def test_a_pattern_that_the_broker_can_have_no_topic_for_is_refused(text: str) -> None:
    with pytest.raises(TopologyError) as raised:
        check_patterns(patterns(text))
    assert repr(text) in str(raised.value)
    assert raised.value.topic == text


def test_every_name_is_one_that_the_protocol_s_clients_take() -> None:
    taken = re.compile("[A-Za-z0-9-_.:@#,/+ ]{1,255}")
    queues = group_queues(
        ("a:b",), "g.h", "quorum", None, 2, "events", patterns("user.*", "*.new", "logs.x.#")
    )
    names = {queue.name for queue in queues} | {str(queue.hash_exchange) for queue in queues}
    assert len(names) == 9
    assert [name for name in names if not taken.fullmatch(name)] == []


def test_a_group_that_could_be_mistaken_for_another_exchange_s_is_refused() -> None:
    with pytest.raises(TopologyError, match=r"group 'g\.#\.at\.events'"):
        group_queues(("t",), "g.#.at.events", "quorum", None)
