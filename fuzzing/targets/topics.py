"""Names: patterns over topics, the router, templates."""

import re
from typing import Final

from pydantic import BaseModel

from dispytch.exceptions import ConfigurationError, InvalidEvent
from dispytch.routing.trie import Trie
from dispytch.templates import Template, TopicTemplate
from dispytch.topics import TopicPattern, one_name
from fuzzing.target import Finding, Target

_PATTERNS: Final = ("user.*", "user.{id}.events", "user.#", "*.*", "order:{id}:x", "#", "a.b.*.d")


def _pattern(data: bytes) -> None:
    """Pattern and topic, on a line each: what matches is the same by regex, trie and pattern."""
    text, _, topic = data.decode("utf-8", "replace").partition("\n")
    try:
        pattern = TopicPattern.of(text)
        one_name(text)
    except ConfigurationError:
        return
    if pattern is None:
        return
    trie: Trie[int] = Trie()
    trie.add(pattern.shape, 1)
    matches = pattern.matches(topic)
    if matches != bool(trie.matching(topic)):
        raise Finding("the trie sees it otherwise")
    if "\n" not in topic and matches != bool(re.fullmatch(pattern.regex, topic)):
        raise Finding("the regular expression sees it otherwise")
    if matches:
        pattern.values(topic)
        if not pattern.matches(pattern.spell(topic)):
            raise Finding("what it spells does not match")


_ROUTES: Final[Trie[str]] = Trie()
for _text in _PATTERNS:
    _found = TopicPattern.of(_text)
    assert _found is not None
    _ROUTES.add(_found.shape, _text)


def _route(data: bytes) -> None:
    topic = data.decode("utf-8", "replace")
    found = sorted(_ROUTES.matching(topic))
    patterns = (TopicPattern.of(text) for text in _PATTERNS)
    wanted = sorted(one.text for one in patterns if one is not None and one.matches(topic))
    if found != wanted:
        raise Finding("the trie finds others than match")


class _Filled(BaseModel):
    id: str
    inner: dict[str, str] = {}


def _template(data: bytes) -> None:
    """Template and value, on a line each."""
    text, _, value = data.decode("utf-8", "replace").partition("\n")
    event = _Filled(id=value, inner={"a": value})
    for kind in (Template, TopicTemplate):
        try:
            template = kind(text)
            template.check(_Filled, "a topic")
            template.fill(event)
        except InvalidEvent:
            continue


TARGETS: Final = (
    Target("patterns", _pattern, [b"user.{id}.*\nuser.1.b", b"a:#\na:b.c", b"*\na"], (b"#", b"*")),
    Target("routes", _route, [b"user.1.events", b"order:1:x", b"a.b.c.d"], (b".", b":", b"#"), 0.5),
    Target(
        "templates",
        _template,
        [b"user.{id}\na", b"{inner.a}\nb", b"{{x}}\nc"],
        (b"{id}", b"{inner.", b"}", b"{", b"!r", b":>9"),
        0.5,
    ),
)
