import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch.exceptions import TopologyError
from dispytch.kafka.topic_names import check_pattern, check_topic_name, subscribed_regex
from dispytch.topics import TopicPattern

ALLOWED = string.ascii_letters + string.digits + "._-"


@given(st.text(alphabet=ALLOWED, min_size=1, max_size=249))
def test_names_that_kafka_can_have(name: str) -> None:
    if name not in (".", ".."):
        check_topic_name(name)


@given(
    st.text(alphabet=ALLOWED, max_size=10),
    st.characters().filter(lambda character: character not in ALLOWED),
    st.text(alphabet=ALLOWED, max_size=10),
)
def test_any_other_character_is_refused(before: str, character: str, after: str) -> None:
    with pytest.raises(TopologyError):
        check_topic_name(before + character + after)


@pytest.mark.parametrize("name", ["", ".", "..", "a" * 250, "order:1", "orders\n"])
def test_names_that_kafka_cannot_have(name: str) -> None:
    with pytest.raises(TopologyError, match="1 to 249 characters out of a-z"):
        check_topic_name(name)


def pattern(text: str) -> TopicPattern:
    found = TopicPattern.of(text)
    assert found is not None
    return found


@pytest.mark.parametrize("text", ["user.*", "#", "user-1.{id}.a_b.#"])
def test_patterns_that_kafka_can_have_topics_for(text: str) -> None:
    check_pattern(pattern(text))


@pytest.mark.parametrize("text", ["order:*", "a b.*", "gr\u00fc\u00dfe.#"])
def test_patterns_that_kafka_can_have_no_topic_for(text: str) -> None:
    with pytest.raises(TopologyError, match="no topic that the pattern") as raised:
        check_pattern(pattern(text))
    assert raised.value.topic == text


@pytest.mark.parametrize(
    ("topic", "subscribed"),
    [
        ("orders", True),
        ("a.b", True),
        ("axb", False),
        ("user.1", True),
        ("user.1.x", False),
        ("my.user.1", False),
        ("logs", True),
        ("logs.a.b", True),
        ("logsx", False),
        ("orders.more", False),
    ],
)
def test_the_regular_expression_is_for_these_topics_and_no_others(
    topic: str, subscribed: bool
) -> None:
    regex = subscribed_regex(["orders", "a.b"], [pattern("user.{id}"), pattern("logs.#")])
    assert (re.match(regex, topic) is not None) == subscribed
