"""Names of topics, and patterns over them: what ``user.*`` or ``order:{id}:events`` stands for.

``.`` and ``:`` both separate the segments of a topic, and a pattern does not tell them apart:
``order:*`` matches ``order:42`` and ``order.42``. In a pattern, a segment is

- a text, which stands for itself;
- ``*``, any one segment;
- a field, ``{user_id}``: any one segment, and a handler can have its text by that name;
- ``#``, any number of segments, none as well; it is the last one.

Of two that match a topic, the more specific is the one that has, in the first segment in which
they differ, a text before a field before ``*`` before ``#``. A literal topic is more specific than
every pattern.

Everything here is pure, and is what backends and core have in common.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dispytch.exceptions import ConfigurationError

ONE: Final = "*"
"""The segment of a pattern that stands for any one."""

REST: Final = "#"
"""The segment of a pattern that stands for any number, none as well."""

Shape = tuple[str, ...]
"""The segments of a pattern, with `ONE` in the place of fields: what it matches, and no more."""

_SEPARATOR: Final = re.compile("[.:]")
# A dot between braces belongs to the name of a field.
_FIELD_OR_SEPARATOR: Final = re.compile(r"\{[^{}]*\}|([.:])")
_ONE_REGEX: Final = "[^.:]*"


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A pattern over topics, compiled: the same for every broker.

    ``text`` is how it was written; ``shape`` is what it matches. ``separators`` stand between its
    segments, one fewer than those. ``fields`` have the place of each named segment.
    """

    text: str
    shape: Shape
    separators: tuple[str, ...]
    fields: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, text: str) -> "TopicPattern | None":
        """The pattern in a text; None where it is a literal topic, which stands for itself.

        Raises:
            ConfigurationError: it cannot be read as a pattern; the text says why, and the remedy.
        """
        segments, separators = _parted(text)
        if REST not in segments and not any(one in text for one in "*{}"):
            return None
        _check(text, segments)
        fields = [(one[1:-1], place) for place, one in enumerate(segments) if one[0] == "{"]
        _check_names(text, [name for name, _ in fields])
        shape = tuple(ONE if one[0] == "{" else one for one in segments)
        return cls(text, shape, tuple(separators), tuple(fields))

    @property
    def specificity(self) -> tuple[int, ...]:
        """Sorts patterns that match one topic, the most specific first."""
        named = {place for _, place in self.fields}
        return tuple(
            1 if place in named else {ONE: 2, REST: 3}.get(segment, 0)
            for place, segment in enumerate(self.shape)
        )

    @property
    def regex(self) -> str:
        """A regular expression, without anchors, that describes the topics it matches."""
        *before, last = self.shape
        parts = [_ONE_REGEX if segment == ONE else re.escape(segment) for segment in before]
        if last != REST:
            return "[.:]".join([*parts, _ONE_REGEX if last == ONE else re.escape(last)])
        return "[.:]".join(parts) + r"(?:[.:](?s:.*))?" if parts else r"(?s:.*)"

    def matches(self, topic: str) -> bool:
        """Whether a topic is one of those that it stands for."""
        segments, shape = segments_of(topic), self.shape
        if shape[-1] == REST:
            shape = shape[:-1]
            segments = segments[: len(shape)]
        return len(shape) == len(segments) and all(map(_stands_for, shape, segments))

    def values(self, topic: str) -> Mapping[str, str]:
        """What a topic that it matches has in the place of each field."""
        segments = segments_of(topic) if self.fields else ()
        return {name: segments[place] for name, place in self.fields}

    def spell(self, topic: str) -> str:
        """A topic that it matches, with the pattern's own separators."""
        segments = segments_of(topic)
        between = [*self.separators, *(self.separators[-1:] or ".") * len(segments)]
        return segments[0] + "".join(
            separator + segment for separator, segment in zip(between, segments[1:], strict=False)
        )


def segments_of(topic: str) -> Sequence[str]:
    """The segments of a topic; never none, though one may be empty."""
    return _SEPARATOR.split(topic)


def covers(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Whether one shape matches every topic that another one matches.

    The segments of a topic without wildcards are the shape that matches this topic alone.
    """
    for place, segment in enumerate(wide):
        if segment == REST:
            return True
        if place >= len(narrow) or narrow[place] == REST or segment not in (ONE, narrow[place]):
            return False
    return len(narrow) == len(wide)


def overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether there are topics that both shapes match."""
    for mine, theirs in zip(one, other, strict=False):
        if REST in (mine, theirs):
            return True
        if mine != theirs and ONE not in (mine, theirs):
            return False
    longer, shared = max(one, other, key=len), min(len(one), len(other))
    return len(one) == len(other) or tuple(longer[shared:]) == (REST,)


def one_name(topic: str) -> str:
    """A topic or pattern as one name that every broker can have.

    Where something is kept for all the topics of a pattern together, as dead letters are, ``_``
    stands in the place of each wildcard or field, and ``__`` in that of ``#``. A literal topic is
    its own name.
    """
    pattern = TopicPattern.of(topic)
    if pattern is None:
        return topic
    words = ["_" if one == ONE else "__" if one == REST else one for one in pattern.shape]
    return words[0] + "".join(
        separator + word for separator, word in zip(pattern.separators, words[1:], strict=True)
    )


def _stands_for(segment: str, text: str) -> bool:
    return segment in (ONE, text)


def _parted(text: str) -> tuple[list[str], list[str]]:
    segments: list[str] = []
    separators: list[str] = []
    start = 0
    for found in _FIELD_OR_SEPARATOR.finditer(text):
        if found[1]:
            segments.append(text[start : found.start()])
            separators.append(found[1])
            start = found.end()
    return [*segments, text[start:]], separators


def _check(text: str, segments: Sequence[str]) -> None:
    for place, segment in enumerate(segments):
        if not segment:
            raise _wrong(text, "it has an empty segment; leave away the separator that is too much")
        if segment == REST and place != len(segments) - 1:
            raise _wrong(text, "'#' stands for all that follows, so it must be the last segment")
        if segment == ONE or (segment[0] == "{" and segment[-1] == "}"):
            continue
        if any(one in segment for one in "*{}"):
            raise _wrong(
                text,
                f"{segment!r} mixes text with a wildcard or field; '*' and '{{name}}' stand for a "
                "whole segment, between two of '.' and ':'",
            )


def _check_names(text: str, names: Iterable[str]) -> None:
    known: set[str] = set()
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise _wrong(text, f"{{{name}}} is no field; its name is one of Python, as {{user_id}}")
        if name in known:
            raise _wrong(text, f"it has the field {{{name}}} twice; give each a name of its own")
        known.add(name)


def _wrong(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"the topic pattern {text!r} cannot be read: {why}")
