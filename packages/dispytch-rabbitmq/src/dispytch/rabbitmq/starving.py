"""Queues that have messages and hand out none, although nothing keeps them from it."""

import time
from collections.abc import Collection, Mapping
from typing import Final

from dispytch.rabbitmq.consumption import Consumption

STARVED_AFTER: Final = 10.0
"""Seconds in which a queue must have handed out something of what is ready."""


class Starving:
    """Which queues are so; it looks whenever their lengths are known."""

    def __init__(self) -> None:
        self._since: dict[Consumption, tuple[int, float]] = {}
        self._ready: dict[Consumption, int] = {}

    def look(self, held: Collection[Consumption], ready: Mapping[str, int]) -> None:
        """Take in how many messages each queue that is consumed has ready."""
        self._ready = {each: ready.get(each.lease.stream, 0) for each in held}
        now = time.monotonic()
        waiting = {each for each, count in self._ready.items() if count and not each.outstanding}
        before, self._since = self._since, {}
        for each in waiting:
            seen, since = before.get(each, (each.deliveries, now))
            self._since[each] = (seen, since) if seen == each.deliveries else (each.deliveries, now)

    @property
    def problems(self) -> Mapping[str, str]:
        """A sentence for each queue, by its name."""
        now = time.monotonic()
        return {
            each.lease.stream: (
                f"queue {each.lease.stream} has {self._ready[each]} messages and has handed out "
                f"none for {now - since:.0f} s; see whether it has a leader"
            )
            for each, (seen, since) in self._since.items()
            if now - since >= STARVED_AFTER and seen == each.deliveries and each.holds
        }
