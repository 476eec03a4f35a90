"""Patterns over topics, against a plain matcher that tries everything."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch.exceptions import ConfigurationError
from dispytch.topics import TopicPattern, covers, one_name, overlap, segments_of

words = st.sampled_from(["a", "b", "c#", "", "*", "#"])
separators = st.sampled_from(".:")


@st.composite
def joined(draw: st.DrawFn, segments: Sequence[str]) -> str:
    text = segments[0]
    for segment in segments[1:]:
        text += draw(separators) + segment
    return text


topics = st.lists(words, min_size=1, max_size=5).flatmap(joined)


@st.composite
def patterns(draw: st.DrawFn) -> TopicPattern:
    kinds = st.sampled_from(["a", "b", "c#", "*", "{x}", "{y}", "{user.id}"])
    segments = draw(st.lists(kinds, max_size=4))
    fields = [one for one in segments if one[0] == "{"]
    segments = [one for one in segments if fields.count(one) < 2]
    if draw(st.booleans()) or not segments:
        segments.append("#")
    elif not any(one[0] in "{*" for one in segments):
        segments.append("*")
    pattern = TopicPattern.of(draw(joined(segments)))
    assert pattern is not None
    return pattern


def plainly_matches(pattern: TopicPattern, topic: str) -> bool:
    """The reference: every way in which the pattern may be read, one after the other."""
    segments = re.split("[.:]", topic)
    written = re.split(r"[.:](?![^{]*})", pattern.text)
    if written[-1] == "#":
        lengths = range(len(segments) + 2)
        return any(plainly(written[:-1] + ["*"] * extra, segments) for extra in lengths)
    return plainly(written, segments)


def plainly(written: Sequence[str], segments: Sequence[str]) -> bool:
    return len(written) == len(segments) and all(
        one == "*" or one[:1] == "{" or one == other
        for one, other in zip(written, segments, strict=True)
    )


@given(patterns(), topics)
def test_matches_what_a_plain_matcher_matches(pattern: TopicPattern, topic: str) -> None:
    assert pattern.matches(topic) == plainly_matches(pattern, topic)


@given(patterns(), topics)
def test_its_regular_expression_matches_the_same(pattern: TopicPattern, topic: str) -> None:
    assert (re.fullmatch(pattern.regex, topic) is not None) == pattern.matches(topic)


@given(patterns(), patterns(), topics)
def test_what_covers_another_matches_all_that_it_does(
    wide: TopicPattern, narrow: TopicPattern, topic: str
) -> None:
    if covers(wide.shape, narrow.shape) and narrow.matches(topic):
        assert wide.matches(topic)


@given(patterns(), patterns(), topics)
def test_patterns_that_share_a_topic_overlap(
    one: TopicPattern, other: TopicPattern, topic: str
) -> None:
    assert overlap(one.shape, other.shape) == overlap(other.shape, one.shape)
    if one.matches(topic) and other.matches(topic):
        assert overlap(one.shape, other.shape)


@given(patterns(), patterns())
def test_patterns_that_overlap_share_a_topic(one: TopicPattern, other: TopicPattern) -> None:
    if overlap(one.shape, other.shape):
        assert one.matches(shared(one, other))
        assert other.matches(shared(one, other))


def shared(one: TopicPattern, other: TopicPattern) -> str:
    """A topic of both, if there is one."""
    segments: list[str] = []
    for place in range(max(len(one.shape), len(other.shape))):
        each = {shape[place] if place < len(shape) else "#" for shape in (one.shape, other.shape)}
        texts = each - {"*", "#"}
        if texts or "*" in each:
            segments.append(texts.pop() if texts else "x")
    return ".".join(segments or ["x"])


@given(patterns(), topics)
def test_a_spelling_is_the_same_topic_with_the_pattern_s_separators(
    pattern: TopicPattern, topic: str
) -> None:
    if pattern.matches(topic):
        spelled = pattern.spell(topic)
        assert segments_of(spelled) == segments_of(topic)
        assert [one for one in spelled if one in ".:"][: len(pattern.separators)] == list(
            pattern.separators[: len(segments_of(topic)) - 1]
        )


@given(patterns(), topics)
def test_fields_have_their_segments(pattern: TopicPattern, topic: str) -> None:
    if pattern.matches(topic):
        written = re.split(r"[.:](?![^{]*})", pattern.text)
        assert pattern.values(topic) == {
            one[1:-1]: segments_of(topic)[place]
            for place, one in enumerate(written)
            if one[0] == "{"
        }


@pytest.mark.parametrize("text", ["orders", "orders.eu", "a:b", "", "c#.x", "a..b", "a."])
def test_a_literal_topic_is_no_pattern(text: str) -> None:
    assert TopicPattern.of(text) is None
    assert one_name(text) == text


def test_the_most_specific_comes_first() -> None:
    texts = ["#", "user.#", "user.*", "user.{id}", "*.created", "user.{id}.#", "user.x.#"]
    compiled = [TopicPattern.of(text) for text in texts]
    ordered = sorted((one for one in compiled if one), key=lambda one: one.specificity)
    assert [one.text for one in ordered] == [
        "user.x.#",
        "user.{id}",
        "user.{id}.#",
        "user.*",
        "user.#",
        "*.created",
        "#",
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("user.*", "user._"),
        ("order:{id}:events", "order:_:events"),
        ("logs.#", "logs.__"),
        ("#", "__"),
    ],
)
def test_a_pattern_has_one_name_for_all_its_topics(text: str, name: str) -> None:
    assert one_name(text) == name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("logs.#.x", "must be the last segment"),
        ("a..*", "empty segment"),
        ("*.", "empty segment"),
        (".*", "empty segment"),
        ("user.{bad name}", "{bad name} is no field"),
        ("user.{}", "{} is no field"),
        ("user.{user.}", "{user.} is no field"),
        ("{id}.{id}", "{id} twice"),
        ("user*", "'user*' mixes text with a wildcard or field"),
        ("user-{id}", "'user-{id}' mixes text"),
        ("user.{id", "'{id' mixes text"),
        ("user.id}", "'id}' mixes text"),
        ("user.{a}{b}", "{a}{b} is no field"),
    ],
)
def test_a_wrong_pattern_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        TopicPattern.of(text)
    assert repr(text) in str(raised.value)
    assert why in str(raised.value)
