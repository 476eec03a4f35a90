"""What is still owed to an event before it may be settled."""

from asyncio import Future
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from dispytch.gates import Waiting
from dispytch.messages import Message
from dispytch.routing import Route


@dataclass(eq=False, slots=True)
class Attempt:
    """A run of a handler, due at ``due``; times are the event loop's, in seconds.

    ``number`` counts from 1, ``failures`` are those that count for the retry policy. The first
    attempt began at ``began``; here the event arrived at ``arrived``. Once ``until`` is done, the
    run is due at once. ``claim`` is what limits keep for a run that they have postponed.
    """

    route: Route
    number: int
    failures: int
    began: float
    arrived: float
    due: float
    until: Future[None] | None = None
    claim: Waiting | None = None

    def postpone(self, seconds: float, now: float, until: Future[None] | None) -> None:
        """Move it into the future; the time until then counts for nothing."""
        self.due, self.until = now + seconds, until
        self.began += seconds

    def hasten(self, now: float) -> None:
        """Make a postponed attempt due now."""
        if self.due > now:
            self.began -= self.due - now
            self.due = now


@dataclass(eq=False, slots=True, weakref_slot=True)
class Parting:
    """A message that the broker must have before the event is settled: it is sent on.

    ``place`` names the event for the log; ``tries`` counts the sends that failed. ``otherwise``
    tells what is owed in its place when the broker will never take it, if anything is; None: this
    is tried again until it is taken. ``later``: it takes the place of one when nothing was left to
    be tried, and so waits first.
    """

    outcome: Literal["dead_lettered", "delayed", "answered", "moved"]
    message: Message
    delay: float | None
    place: str
    due: float
    tries: int = 0
    until: None = None
    claim: None = None
    otherwise: "Otherwise | None" = None
    later: bool = False


Otherwise = Callable[[Parting, Exception], Parting | None]
"""What is owed in the place of a parting that was refused with this error; None: nothing."""

Owed = Attempt | Parting


def let_go(owed: Iterable[Owed]) -> None:
    """What is owed is never paid here: what limits keep for it is for others."""
    for one in owed:
        if one.claim is not None:
            one.claim.leave()
