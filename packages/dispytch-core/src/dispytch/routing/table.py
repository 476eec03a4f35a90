"""The routes of one topic."""

from collections.abc import Iterable, Sequence

from dispytch.routing.route import Batching, Route

Routes = tuple[Route, ...]


class Table:
    """Which routes of one topic take an event of which type.

    They come in the order of their registration. A handler that is registered more than once for
    what matches an event runs once for it, by the registration that is the most specific: first by
    its topic, then by its type.

    ``by_type`` has the routes of each type that one of them names, ``of_any`` those of every other.
    ``topic_name`` is that of the most specific route. ``by_pattern`` says whether any of
    them takes more than this one topic. ``batching`` is that of the one handler that takes
    its events in batches, if it does.
    """

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self.by_pattern: bool = any(route.pattern is not None for route in routes)
        self.topic_name: str = min(routes, key=_specificity).topic_name
        self.batching: Batching | None = routes[0].batching
        self.of_any: Routes = _once(route for route in routes if route.event is None)
        self.by_type: dict[str | None, Routes] = {
            event_type: _once(route for route in routes if route.event in (None, event_type))
            for event_type in {route.event for route in routes if route.event is not None}
        }

    def find(self, event_type: str | None) -> Routes:
        """The routes for an event; none when nobody takes its type."""
        return self.by_type.get(event_type, self.of_any)


def _once(routes: Iterable[Route]) -> Routes:
    """The routes, each handler but once."""
    found: Sequence[Route] = list(routes)
    chosen: dict[object, Route] = {}
    for route in found:
        other = chosen.setdefault(route.identity, route)
        if _specificity(route) < _specificity(other):
            chosen[route.identity] = route
    return tuple(route for route in found if chosen[route.identity] is route)


def _specificity(route: Route) -> tuple[tuple[int, ...], bool]:
    # Nothing comes before the empty tuple: a literal topic is more specific than any pattern.
    by_topic = () if route.pattern is None else route.pattern.specificity
    return by_topic, route.event is None
