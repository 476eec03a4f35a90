"""The table of routes."""

from collections.abc import Iterable
from itertools import groupby

from dispytch.routing.route import Route

Routes = tuple[Route, ...]


class Router:
    """Finds the routes for an event: those of its type, and those that take every type.

    Several routes for one event come in the order of their registration.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: Routes = tuple(routes)
        self._by_topic = {
            topic: _Topic(tuple(group))
            for topic, group in groupby(
                sorted(self.routes, key=lambda route: route.topic), lambda route: route.topic
            )
        }

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that has a route, sorted."""
        return tuple(self._by_topic)

    def find(self, topic: str, event_type: str | None) -> Routes:
        """The routes for an event; none when nobody takes its type."""
        known = self._by_topic.get(topic)
        return known.find(event_type) if known is not None else ()


class _Topic:
    def __init__(self, routes: Routes) -> None:
        self._any = tuple(route for route in routes if route.event is None)
        self._by_type: dict[str | None, Routes] = {
            event_type: tuple(route for route in routes if route.event in (None, event_type))
            for event_type in {route.event for route in routes if route.event is not None}
        }

    def find(self, event_type: str | None) -> Routes:
        return self._by_type.get(event_type, self._any)
