"""Patterns by their segments: finds those that match a topic, without trying each."""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from dispytch.topics import ONE, REST, Shape, segments_of

T = TypeVar("T")


class Trie(Generic[T]):
    """Values under the shapes of patterns; a topic finds the values of all that match it.

    The work for a topic grows with the patterns that its first segments match, not with how many
    there are. Values come in no order that means anything.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, shape: Shape, value: T) -> None:
        """Put a value under a shape; one shape may have several."""
        node = self._root
        for segment in shape:
            node = node.following.setdefault(segment, _Node())
        node.values.append(value)

    def matching(self, topic: str) -> list[T]:
        """The values of every shape that matches a topic."""
        return list(_found(self._root, segments_of(topic)))


class _Node(Generic[T]):
    __slots__ = ("following", "values")

    def __init__(self) -> None:
        self.following: dict[str, _Node[T]] = {}
        self.values: list[T] = []


def _found(node: _Node[T], segments: Sequence[str]) -> Iterator[T]:
    # No pattern follows a ``#``, so there is nothing below it.
    if (rest := node.following.get(REST)) is not None:
        yield from rest.values
    if not segments:
        yield from node.values
        return
    first, following = segments[0], segments[1:]
    # A topic may have a segment that looks like a wildcard; it is none there.
    for segment in {first, ONE} - {REST}:
        if (child := node.following.get(segment)) is not None:
            yield from _found(child, following)
