"""The trie, against a list that is searched from end to end."""

from hypothesis import given
from hypothesis import strategies as st

from dispytch.routing.trie import Trie
from dispytch.topics import TopicPattern

words = st.sampled_from(["a", "b", "*", "#", ""])
topics = st.lists(words, min_size=1, max_size=5).map(".".join)
heads = st.lists(st.sampled_from(["a", "b", "*"]), max_size=4)
patterns = st.builds(
    lambda head, rest: TopicPattern.of(".".join([*head, *rest])),
    heads,
    st.sampled_from([["#"], ["*"]]),
)


@given(st.lists(patterns, max_size=12), topics)
def test_finds_what_a_search_would_find(known: list[TopicPattern], topic: str) -> None:
    trie: Trie[int] = Trie()
    for number, pattern in enumerate(known):
        trie.add(pattern.shape, number)
    assert sorted(trie.matching(topic)) == [
        number for number, pattern in enumerate(known) if pattern.matches(topic)
    ]
