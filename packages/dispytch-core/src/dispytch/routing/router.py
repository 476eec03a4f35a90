"""The way from a topic to the routes that take it."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

from dispytch.dead_letters import ORIGINAL_TOPIC
from dispytch.messages import Delivery
from dispytch.routing.route import Route
from dispytch.routing.table import Routes, Table
from dispytch.routing.trie import Trie
from dispytch.short_names import is_short
from dispytch.topics import Shape, TopicPattern, segments_of

REMEMBERED: Final = 10_000
"""How many topics that only patterns match are remembered before all of them are forgotten."""


_OWN_SEGMENTS: Final = ("dead", "retry")
"""How the names end of the topics that groups send events on to, unless they say otherwise."""


class Router:
    """Finds the routes for an event: those that take its topic, and its type or every type.

    A topic that was seen before costs one look into a dict, whether it was named or is matched by
    patterns. Several routes for one event come in the order of their registration.
    """

    def __init__(self, routes: Iterable[Route], sent_on_to: Collection[str] = ()) -> None:
        self.routes: Routes = tuple(routes)
        self._sent_on_to = frozenset(sent_on_to)
        self._trie: Trie[int] = Trie()
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        for number, route in enumerate(self.routes):
            if route.pattern is None:
                self._by_name[route.topic].append(number)
            else:
                self._trie.add(route.pattern.shape, number)
        # Handlers of the same routes share a table, however many topics lead to it.
        self._tables: dict[tuple[int, ...], Table | None] = {(): None}
        self._named = {topic: self._made(topic) for topic in self._by_name}
        self._known = dict(self._named)

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that a route names, sorted."""
        return tuple(sorted(self._by_name))

    @property
    def patterns(self) -> tuple[TopicPattern, ...]:
        """Every pattern of a route, but one alone of each shape, sorted."""
        of_shape: dict[Shape, TopicPattern] = {}
        for route in self.routes:
            if route.pattern is not None:
                of_shape.setdefault(route.pattern.shape, route.pattern)
        return tuple(of_shape[shape] for shape in sorted(of_shape))

    def table(self, delivery: Delivery) -> Table | None:
        """The routes for a delivery's topic; None when none takes it, as it is somebody else's.

        What lies in a topic and came from another one, as dead letters do, is no event of a
        pattern that matches both: it was that already, where it came from.
        """
        topic = delivery.topic
        try:
            table = self._known[topic]
        except KeyError:
            table = self._learnt(topic)
        if table is None or not table.by_pattern or not self._is_sent_on_to(topic):
            return table
        return _apart_from_sent_on(table, delivery)

    def _is_sent_on_to(self, topic: str) -> bool:
        """Whether events are sent on to a topic, by its name: anywhere else, headers are data."""
        return topic in self._sent_on_to or segments_of(topic)[-1] in _OWN_SEGMENTS

    def find(self, topic: str, event_type: str | None) -> Routes:
        """The routes for an event of a topic; none when nobody takes it."""
        table = self._known[topic] if topic in self._known else self._learnt(topic)
        return () if table is None else table.find(event_type)

    def _learnt(self, topic: str) -> Table | None:
        table = self._made(topic)
        if is_short(topic):
            if len(self._known) - len(self._named) >= REMEMBERED:
                self._known = dict(self._named)
            self._known[topic] = table
        return table

    def _made(self, topic: str) -> Table | None:
        numbers = tuple(sorted([*self._by_name.get(topic, ()), *self._trie.matching(topic)]))
        if numbers not in self._tables:
            self._tables[numbers] = Table(tuple(self.routes[number] for number in numbers))
        return self._tables[numbers]


def _apart_from_sent_on(table: Table, delivery: Delivery) -> Table | None:
    for name, value in delivery.headers:
        if name == ORIGINAL_TOPIC and value is not None:
            origin = value.decode("utf-8", "replace")
            break
    else:
        return table
    if segments_of(origin) == segments_of(delivery.topic):
        return table
    routes = tuple(
        route
        for route in table.routes
        if route.pattern is None or not route.pattern.matches(origin)
    )
    return Table(routes) if routes else None
