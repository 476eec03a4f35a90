"""How events pass the gates of a limit, or are postponed until they may."""

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

from dispytch.batch import failures_among
from dispytch.clock import service_clock
from dispytch.events import Event
from dispytch.exceptions import Postpone, Skip
from dispytch.gates import Gate, Now, Waiting, begin
from dispytch.messages import Lease

Claimant = tuple[Lease, int, str]
"""One run of one handler for one delivery."""


def claimant(event: Event[Any]) -> Claimant:
    """Whose run it is."""
    return event.delivery.lease, event.delivery.position, event.handler


def let_pass(
    events: Sequence[Event[Any]],
    limit: Hashable,
    gates: Collection[Gate],
    now: Now,
    seconds: Callable[[Waiting], float],
) -> None:
    """Begin a run of these events at all of the gates, or have it wait at them.

    limit: whose gates they are. seconds: how long a run that waits there has to, at most.

    Raises:
        Postpone: it waits.
    """
    waiting = next((event.claim for event in events if event.claim is not None), None)
    if begin(gates, waiting, now()):
        return
    if waiting is None:
        waiting = Waiting(service_clock())
    for event in events:
        if event.claim is not None and event.claim is not waiting:
            event.claim.leave()
        event.claim = waiting
    until = waiting.wait(limit, gates, now)
    raise Postpone(seconds(waiting), until=until)


def has_not_begun(count: int, error: Exception) -> bool:
    """Whether a run of so many events ended before its handler: all that is left was postponed."""
    failures = failures_among(count, error)
    return (
        len(failures) == count
        and any(isinstance(one, Postpone) for one in failures.values())
        and all(isinstance(one, Postpone | Skip) for one in failures.values())
    )
