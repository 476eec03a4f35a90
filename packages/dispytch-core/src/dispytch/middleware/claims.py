"""What is kept for events that were postponed, for a while: a turn, a place."""

from collections import OrderedDict
from typing import Any, Final

from dispytch.events import Event
from dispytch.messages import Lease

_GRACE: Final = 5.0
"""Seconds after which a claim is void that nobody has come for: the event went elsewhere."""

Claimant = tuple[Lease, int, str]
"""One run of one handler for one delivery."""


def claimant(event: Event[Any]) -> Claimant:
    """Who asks: the same when a postponed run is tried again here."""
    return event.delivery.lease, event.delivery.position, event.handler


class Claims:
    """Times from which on postponed runs may begin.

    An event may be revoked or left to the broker while it waits, and nobody says so. Then its
    claim is forgotten after a few seconds, so that there are about as many as events in flight.
    """

    def __init__(self) -> None:
        self._claims: OrderedDict[Claimant, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._claims)

    def make(self, who: Claimant, now: float, *, due: float, until: float) -> None:
        """Let a run begin from ``due`` on; it is awaited back at ``until``."""
        while self._claims and next(iter(self._claims.values()))[1] < now:
            self._claims.popitem(last=False)
        self._claims[who] = due, until + _GRACE
        self._claims.move_to_end(who)

    def due(self, who: Claimant, now: float) -> float | None:
        """When a run may begin; None without a claim."""
        due, void = self._claims.get(who, (0.0, float("-inf")))
        return due if now <= void else None

    def use(self, who: Claimant) -> None:
        """The run begins: its claim is used up."""
        del self._claims[who]
