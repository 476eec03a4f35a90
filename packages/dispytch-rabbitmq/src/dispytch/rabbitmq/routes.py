"""Which routing keys have a queue, as far as a producer knows: pure.

As long as that is not known of a key, one message asks, and those behind it wait. If all were on
their way at once, a queue that is made meanwhile could take a later one, and an earlier one would
have come back.
"""

from operator import attrgetter
from typing import Final

from dispytch.rabbitmq.outgoing import Outgoing

REMEMBERED: Final = 10_000
"""Of how many routing keys it is remembered at once that they have a queue."""


class Routes:
    """The routing keys that are known to have a queue, and what waits for that of the others."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._waiting: dict[str, list[Outgoing]] = {}
        self._homeless: dict[str, None] = {}

    def admits(self, message: Outgoing) -> bool:
        """Whether a message may be sent now; if not, it waits in here."""
        key = message.routing_key
        if key in self._known:
            return True
        if key in self._waiting:
            self._waiting[key].append(message)
            return False
        self._waiting[key] = []
        return True

    def answered(self, message: Outgoing) -> list[Outgoing]:
        """A message has its outcome, and has not come back: what waited for that."""
        key = message.routing_key
        if key in self._known or key in self._homeless:
            return []
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known.add(key)
        return self._waiting.pop(key, [])

    def returned(self, message: Outgoing) -> None:
        """A message has come back: no queue takes it. It is `homeless` now."""
        key = message.routing_key
        self._known.discard(key)
        self._homeless[key] = None
        waiting = self._waiting.setdefault(key, [])
        waiting.append(message)
        waiting.sort(key=attrgetter("number"))

    @property
    def homeless(self) -> str | None:
        """A routing key for which there are messages that have come back."""
        return next(iter(self._homeless), None)

    def messages(self, key: str) -> list[Outgoing]:
        """Those of a homeless key, in their order, that somebody still waits for."""
        waiting = [one for one in self._waiting[key] if not (one.settled or one.batch.over)]
        self._waiting[key] = waiting
        return waiting

    def release(self, key: str) -> list[Outgoing]:
        """A key is as unknown as it was at first: what waited, and still has no outcome."""
        self._homeless.pop(key, None)
        return [message for message in self._waiting.pop(key, []) if not message.settled]

    def forget(self) -> list[Outgoing]:
        """The channel is gone, and what was on its way is sent again: all that waited for it.

        What has come back stays homeless.
        """
        waited: list[Outgoing] = []
        for key in [key for key in self._waiting if key not in self._homeless]:
            waited += self._waiting.pop(key)
        self._known.clear()
        return waited
