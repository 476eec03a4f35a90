"""What has become of the events so far."""

from dataclasses import dataclass


@dataclass(slots=True)
class Outcomes:
    """Counts since the listener started; an event with several handlers counts once for each.

    handled: handlers that returned.
    skipped: handlers that raised `Skip`.
    postponed: runs that raised `Postpone`: they wait, and begin anew.
    retried: attempts that failed and are followed by another, here.
    delayed: attempts that failed and are followed by another, through the broker.
    dead_lettered: given up, and sent to a dead-letter topic, confirmed.
    dropped: given up under the policy ``"drop"``.
    unhandled: events that no handler takes; settled, and logged once per type.
    unsent: sends of dead letters, delayed events or replies that failed; they are tried again.
    answered: replies to requests that were sent, confirmed.
    unwanted: replies whose requester was gone.
    """

    handled: int = 0
    skipped: int = 0
    postponed: int = 0
    retried: int = 0
    delayed: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    unhandled: int = 0
    unsent: int = 0
    answered: int = 0
    unwanted: int = 0
