import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch.exceptions import TopologyError
from dispytch.kafka.topic_names import check_topic_name

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
