"""A run that an event still owes one of its handlers."""

from dataclasses import dataclass

from dispytch.routing import Route


@dataclass(eq=False, slots=True)
class Attempt:
    """The attempt ``number`` of a route, due at ``due``; the first one began at ``began``.

    Times are those of the event loop's clock, in seconds.
    """

    route: Route
    number: int
    began: float
    due: float
