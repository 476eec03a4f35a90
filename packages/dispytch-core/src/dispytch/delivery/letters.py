"""Dead letters on their way, and what follows when the broker refuses one for good."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from dispytch.clock import Clock
from dispytch.dead_letters import REFUSAL, Failure
from dispytch.delivery.attempt import Parting
from dispytch.exceptions import MessageTooLarge
from dispytch.letter_forms import letter_forms
from dispytch.messages import Delivery, Header, Message
from dispytch.printable import printable
from dispytch.redelivery import dead_topic

_REFUSAL_LIMIT: Final = 500


class Letters:
    """Makes the partings of dead letters.

    Where a letter is too large, a smaller form of it is sent. Where its topic takes none of them,
    or nothing at all, it goes to the group's own dead-letter topic and says why. What that does
    not take either is tried again, for as long as it takes.

    rereads: whether the backend can read a message again.
    """

    def __init__(self, *, group: str, rereads: bool, clock: Clock) -> None:
        self._group = group
        self._rereads = rereads
        self._clock = clock.time
        self.last_resort: Final = dead_topic(group)

    def parting(
        self, delivery: Delivery, failure: Failure, destination: str | None, where: str
    ) -> Parting:
        """The parting of a dead letter; ``where`` names its event for the log.

        destination: None for what has its place in no handler's dead-letter topic.
        """
        home = destination or self.last_resort
        return self._started(_Letter(delivery, failure, home, where), home)

    def _started(self, letter: "_Letter", topic: str, refusal: Header | None = None) -> Parting:
        forms = self._forms(letter, topic, refusal)
        return self._made(letter, next(forms), forms)

    def _forms(self, letter: "_Letter", topic: str, refusal: Header | None) -> Iterator[Message]:
        forms = letter_forms(
            letter.delivery,
            letter.failure,
            destination=topic,
            group=self._group,
            rereads=self._rereads,
        )
        for form in forms:
            if refusal is not None:
                form.headers = [*form.headers, refusal]
            yield form

    def _made(self, letter: "_Letter", message: Message, forms: Iterator[Message]) -> Parting:
        otherwise = partial(self._next, letter, forms)
        return Parting(
            "dead_lettered", message, None, letter.where, self._clock(), otherwise=otherwise
        )

    def _next(
        self, letter: "_Letter", forms: Iterator[Message], refused: Parting, error: Exception
    ) -> Parting:
        smaller = next(forms, None) if isinstance(error, MessageTooLarge) else None
        topic = refused.message.topic
        if smaller is not None:
            following = self._made(letter, smaller, forms)
        elif topic != self.last_resort:
            refusal = f"{topic}: {printable(error, _REFUSAL_LIMIT)}".encode()
            following = self._started(letter, self.last_resort, (REFUSAL, refusal))
        else:
            # All of it again, from the whole letter on: somebody may make room for that.
            following = self._started(letter, letter.home)
            following.later = True
        following.tries = refused.tries
        return following


@dataclass(frozen=True, slots=True)
class _Letter:
    """A dead letter: of what, why, the topic that it is meant for, and its event for the log."""

    delivery: Delivery
    failure: Failure
    home: str
    where: str
