"""Sending failed events on, and replies back, until the broker has them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from dispytch.clock import Clock
from dispytch.delivery.attempt import Parting
from dispytch.delivery.outcomes import Outcomes
from dispytch.exceptions import (
    DispytchError,
    MessageTooLarge,
    SendError,
    TopologyError,
    Unroutable,
    Unsendable,
)
from dispytch.printable import TEXT_LIMIT, printable, quoted
from dispytch.signing import Purpose, Signer, for_letters, for_reply, for_retry
from dispytch.transport import Producer

logger: logging.Logger = logging.getLogger("dispytch")

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_REFUSALS: Final = 4
"""After so many in a row, a topic that takes nothing is taken for one that never will."""


class Partings:
    """Sends dead letters, delayed events and replies.

    What cannot be sent is owed still, and due later. What the broker refuses for good is replaced
    by what is owed otherwise: at once where it is too large, else after the fourth refusal.

    group: whose events these are. signer: signs each message, as the last change to it.
    """

    def __init__(
        self,
        producer: Producer,
        outcomes: Outcomes,
        clock: Clock,
        *,
        group: str = "",
        signer: Signer | None = None,
    ) -> None:
        self._producer = producer
        self._group = group
        self._signer = signer
        self._outcomes = outcomes
        self._clock = clock.time
        # Those of streams that were given up go with their partings.
        self._troubles: WeakKeyDictionary[Parting, str] = WeakKeyDictionary()

    @property
    def trouble(self) -> str | None:
        """What stays unsettled, as the broker does not take what is to be sent on, and why."""
        texts = list(self._troubles.values())
        if not texts:
            return None
        return texts[0] + (f"; so are {len(texts) - 1} more" if len(texts) > 1 else "")

    async def send(self, parting: Parting) -> Parting | None:
        """Send it, confirmed; returns what is owed, due later, when the broker did not take it.

        Raises:
            EventHalted: it will never be taken, and its event must not be passed over.
        """
        left: Parting | None = parting
        while left is not None:
            self._sign(left)
            try:
                await self._producer.send([left.message], delay=left.delay)
            except DispytchError as error:
                left = self._unsent(left, _of(0, error))
                if left is not None and left.due > self._clock():
                    return left
            else:
                self._count(left)
                return None
        return None

    async def send_all(self, partings: Sequence[Parting]) -> Sequence[Parting]:
        """Send them together, confirmed; returns what is owed by those that were not taken.

        Raises:
            EventHalted: as `send` says.
        """
        by_delay: defaultdict[float | None, list[Parting]] = defaultdict(list)
        for parting in partings:
            by_delay[parting.delay].append(parting)
        sends = [self._send_batch(batch, delay) for delay, batch in by_delay.items()]
        return [parting for unsent in await asyncio.gather(*sends) for parting in unsent]

    async def _send_batch(
        self, partings: Sequence[Parting], delay: float | None
    ) -> Sequence[Parting]:
        failures: Mapping[int, Exception] = {}
        for parting in partings:
            self._sign(parting)
        try:
            await self._producer.send([one.message for one in partings], delay=delay)
        except SendError as error:
            failures = error.failures
        except DispytchError as error:
            failures = dict.fromkeys(range(len(partings)), error)
        unsent: list[Parting] = []
        for index, parting in enumerate(partings):
            if index not in failures:
                self._count(parting)
                continue
            left = self._unsent(parting, failures[index])
            if left is not None and left.due <= self._clock():
                left = await self.send(left)
            if left is not None:
                unsent.append(left)
        return unsent

    def _sign(self, parting: Parting) -> None:
        if self._signer is not None:
            self._signer.sign(parting.message, _purpose(parting, self._group))

    def _count(self, parting: Parting) -> None:
        self._troubles.pop(parting, None)
        match parting.outcome:
            case "dead_lettered":
                self._outcomes.dead_lettered += 1
                logger.error(
                    "dead-lettered to %s: %s", quoted(parting.message.topic), parting.place
                )
            case "delayed":
                self._outcomes.delayed += 1
            case "answered":
                self._outcomes.answered += 1
            case "moved":
                pass

    def _unsent(self, parting: Parting, error: Exception) -> Parting | None:
        """What is owed now: the same, due later, or something else, due at once."""
        if parting.outcome == "answered" and isinstance(error, Unroutable | TopologyError):
            # Whoever asked is gone, or has never had such a topic: nobody waits.
            self._outcomes.unwanted += 1
            logger.debug("nobody takes the reply of %s: %s", parting.place, printable(error))
            return None
        if parting.otherwise is not None and _is_final(parting, error):
            logger.warning(
                "%s is refused by %s: %s",
                parting.place,
                quoted(parting.message.topic),
                printable(error, TEXT_LIMIT),
            )
            trouble = self._troubles.pop(parting, None)
            replaced = parting.otherwise(parting, error)
            if trouble is not None and replaced is not None:
                # It is the same event, which is unsettled still.
                self._troubles[replaced] = trouble
            if replaced is None or not replaced.later:
                return replaced
            parting = replaced
        return self._later(parting, error)

    def _later(self, parting: Parting, error: Exception) -> Parting:
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(parting.tries, 10))
        parting.tries += 1
        parting.due = self._clock() + pause
        parting.later = False
        self._troubles[parting] = (
            f"{parting.place} stays unsettled: {quoted(parting.message.topic)} takes nothing: "
            f"{printable(error, TEXT_LIMIT)}"
        )
        self._outcomes.unsent += 1
        logger.error(
            "%s could not be sent to %s and stays unsettled; trying again in %.1f s: %s",
            parting.place,
            quoted(parting.message.topic),
            pause,
            printable(error, TEXT_LIMIT),
        )
        return parting


def _purpose(parting: Parting, group: str) -> Purpose:
    match parting.outcome:
        case "dead_lettered":
            return for_letters(group, parting.message.topic)
        case "answered":
            return for_reply(parting.message.topic)
        case "delayed" | "moved":
            return for_retry(group)


def _is_final(parting: Parting, error: Exception) -> bool:
    if isinstance(error, MessageTooLarge | Unsendable):
        return True
    return isinstance(error, Unroutable | TopologyError) and parting.tries + 1 >= _REFUSALS


def _of(index: int, error: Exception) -> Exception:
    return error.failures.get(index, error) if isinstance(error, SendError) else error
