"""What has become of the events so far."""

from dataclasses import dataclass


@dataclass(slots=True)
class Outcomes:
    """Counts since the listener started; an event with several handlers counts once for each.

    handled: handlers that returned.
    retried: attempts that failed and are followed by another.
    dropped: given up under the policy ``"drop"``.
    unhandled: events that no handler takes; settled, and logged once per type.
    """

    handled: int = 0
    retried: int = 0
    dropped: int = 0
    unhandled: int = 0
