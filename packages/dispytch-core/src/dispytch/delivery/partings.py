"""Sending failed events on, until the broker has them."""

import logging
from typing import Final

from dispytch.clock import Clock
from dispytch.dead_letters import without_details
from dispytch.delivery.attempt import Parting
from dispytch.delivery.outcomes import Outcomes
from dispytch.exceptions import DispytchError, MessageTooLarge, SendError
from dispytch.transport import Producer

logger = logging.getLogger("dispytch")

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


class Partings:
    """Sends dead letters and delayed events. What cannot be sent is owed still, and due later.

    ``trouble`` is the reason why the last send failed; None after one that did not.
    """

    def __init__(self, producer: Producer, outcomes: Outcomes, clock: Clock) -> None:
        self._producer = producer
        self._outcomes = outcomes
        self._clock = clock.time
        self.trouble: str | None = None

    async def send(self, parting: Parting) -> Parting | None:
        """Send it, confirmed; returns it, due later, when the broker did not take it."""
        try:
            await self._producer.send([parting.message], delay=parting.delay)
        except DispytchError as error:
            return self._later(parting, _only(error))
        self.trouble = None
        if parting.outcome == "dead_lettered":
            self._outcomes.dead_lettered += 1
            logger.error("dead-lettered to %r: %s", parting.message.topic, parting.place)
        else:
            self._outcomes.delayed += 1
        return None

    def _later(self, parting: Parting, error: Exception) -> Parting:
        if isinstance(error, MessageTooLarge):
            parting.message = without_details(parting.message)
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(parting.tries, 10))
        parting.tries += 1
        parting.due = self._clock() + pause
        self.trouble = f"{parting.message.topic!r} takes nothing: {error}"
        self._outcomes.unsent += 1
        logger.error(
            "%s could not be sent to %r and stays unsettled; trying again in %.1f s: %s",
            parting.place,
            parting.message.topic,
            pause,
            error,
        )
        return parting


def _only(error: Exception) -> Exception:
    return error.failures[0] if isinstance(error, SendError) and 0 in error.failures else error
