"""Sending failed events on, and replies back, until the broker has them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from dispytch.clock import Clock
from dispytch.dead_letters import without_details
from dispytch.delivery.attempt import Parting
from dispytch.delivery.outcomes import Outcomes
from dispytch.exceptions import (
    DispytchError,
    MessageTooLarge,
    SendError,
    TopologyError,
    Unroutable,
)
from dispytch.replies import too_large
from dispytch.transport import Producer

logger: logging.Logger = logging.getLogger("dispytch")

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


class Partings:
    """Sends dead letters, delayed events and replies.

    What cannot be sent is owed still, and due later.

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
            return self._unsent(parting, _of(0, error))
        self.trouble = None
        self._count(parting)
        return None

    async def send_all(self, partings: Sequence[Parting]) -> Sequence[Parting]:
        """Send them together, confirmed; returns those that the broker did not take, due later."""
        by_delay: defaultdict[float | None, list[Parting]] = defaultdict(list)
        for parting in partings:
            by_delay[parting.delay].append(parting)
        sends = [self._send_batch(batch, delay) for delay, batch in by_delay.items()]
        return [parting for unsent in await asyncio.gather(*sends) for parting in unsent]

    async def _send_batch(
        self, partings: Sequence[Parting], delay: float | None
    ) -> Sequence[Parting]:
        failures: Mapping[int, Exception] = {}
        try:
            await self._producer.send([one.message for one in partings], delay=delay)
        except SendError as error:
            failures = error.failures
        except DispytchError as error:
            failures = dict.fromkeys(range(len(partings)), error)
        if len(failures) < len(partings):
            self.trouble = None
        unsent: list[Parting] = []
        for index, parting in enumerate(partings):
            if index not in failures:
                self._count(parting)
            elif (left := self._unsent(parting, failures[index])) is not None:
                unsent.append(left)
        return unsent

    def _count(self, parting: Parting) -> None:
        match parting.outcome:
            case "dead_lettered":
                self._outcomes.dead_lettered += 1
                logger.error("dead-lettered to %r: %s", parting.message.topic, parting.place)
            case "delayed":
                self._outcomes.delayed += 1
            case "answered":
                self._outcomes.answered += 1

    def _unsent(self, parting: Parting, error: Exception) -> Parting | None:
        if parting.outcome == "answered" and isinstance(error, Unroutable | TopologyError):
            # Whoever asked is gone, or has never had such a topic: nobody waits.
            self._outcomes.unwanted += 1
            logger.debug("nobody takes the reply of %s: %s", parting.place, error)
            return None
        return self._later(parting, error)

    def _later(self, parting: Parting, error: Exception) -> Parting:
        if isinstance(error, MessageTooLarge):
            shrunk = without_details if parting.outcome == "dead_lettered" else too_large
            parting.message = shrunk(parting.message)
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


def _of(index: int, error: Exception) -> Exception:
    return error.failures.get(index, error) if isinstance(error, SendError) else error
