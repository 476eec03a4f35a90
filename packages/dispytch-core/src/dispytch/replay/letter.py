"""A dead letter, as it is read."""

from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from dispytch import dead_letters as names
from dispytch.dead_letters import Reason
from dispytch.headers import apart
from dispytch.letter_forms import DIGEST
from dispytch.messages import Delivery, Headers, Message, present
from dispytch.printable import TEXT_LIMIT, printable
from dispytch.redelivery import retry_topic

_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter: the message as it was, and why it was given up.

    ``delivery`` has it as the broker handed it out, all headers included. ``event`` is the event
    itself where the letter is only a reference to it: what was found where that lies. ``doubt``
    says why the letter, or the event in it, is not known to be the group's own: it lacks the
    signature. None where it has that, or where no signatures are asked for.
    """

    delivery: Delivery
    event: Message | None = None
    doubt: str | None = None

    @property
    def by_reference(self) -> bool:
        """Whether the event itself is not in the letter, but still where it came from.

        It was too large for the dead-letter topic, or the driver could not decode it. See `gone`.
        """
        return self.place is not None

    @property
    def gone(self) -> bool:
        """Whether the event itself is neither in the letter nor where the letter says it lies."""
        return self.by_reference and self.event is None

    @property
    def place(self) -> tuple[str, int] | None:
        """The stream and the position that the event lies at; None where the letter has it."""
        stream, position = self._text(names.BODY_STREAM), self._number(names.BODY_POSITION)
        return None if stream is None or position is None else (stream, position)

    def is_of(self, event: Message) -> bool:
        """Whether what was found at `place` is what was there when the event was given up."""
        digest = self._text(names.BODY_DIGEST)
        return digest is None or digest == DIGEST(event.value or b"").hexdigest()

    @property
    def restored(self) -> Delivery:
        """The event as it was, and beside it what was added when it was given up."""
        own, added = apart(self.delivery.headers)
        restored = copy(self.delivery)
        restored.headers, restored.added = own, added
        if self.event is not None:
            restored.value, restored.key = self.event.value, self.event.key
            restored.headers = self._headers_of(self.event)
        return restored

    @property
    def id(self) -> str:
        """Its own id; the same on every reading."""
        return self._text(names.ID) or f"{self.delivery.lease.stream}/{self.delivery.position}"

    @property
    def reason(self) -> Reason:
        """Why it was given up."""
        found = self._text(names.REASON)
        return next((one for one in get_args(Reason) if one == found), "failed")

    @property
    def handler(self) -> str | None:
        """The handler that gave it up; None where none was found."""
        return self._text(names.HANDLER)

    @property
    def handler_topic(self) -> str | None:
        """The topic that this handler takes; of a pattern, the one name that stands for all."""
        return self._text(names.HANDLER_TOPIC)

    @property
    def attempts(self) -> int:
        """How often that was run."""
        return self._number(names.ATTEMPTS) or 0

    @property
    def failed_at(self) -> datetime | None:
        """When it was given up."""
        try:
            return datetime.fromisoformat(self._text(names.FAILED_AT) or "")
        except ValueError:
            return None

    @property
    def error(self) -> str:
        """The type of the error, and its text, on one line."""
        kind, text = self._text(names.EXCEPTION_TYPE), self._text(names.EXCEPTION_MESSAGE)
        parts = (printable(part, TEXT_LIMIT) for part in (kind, text) if part)
        return ": ".join(parts)

    @property
    def traceback(self) -> str | None:
        """The error's traceback, its last part."""
        return self._text(names.EXCEPTION_TRACEBACK)

    @property
    def topic(self) -> str | None:
        """The topic that the event came from."""
        return self._text(names.ORIGINAL_TOPIC)

    @property
    def value(self) -> bytes | None:
        """The event's value; None in a tombstone, and where it is `gone`."""
        return self.delivery.value if self.event is None else self.event.value

    @property
    def key(self) -> bytes | None:
        """The event's key."""
        return self.delivery.key if self.event is None else self.event.key

    @property
    def headers(self) -> Headers:
        """The event's own headers, without those that say why it was given up."""
        if self.event is not None:
            return self._headers_of(self.event)
        return names.original_headers(self.delivery.headers)

    @property
    def refusal(self) -> str | None:
        """Why it is in the group's own dead-letter topic, and not in its handler's."""
        return self._text(names.REFUSAL)

    def _headers_of(self, event: Message) -> Headers:
        # What lies in the retry topic has such headers, too; anywhere else all are the event's.
        group = self._text(names.GROUP)
        came_back = group is not None and event.topic == retry_topic(group)
        return apart(event.headers)[0] if came_back else event.headers

    def _number(self, name: str) -> int | None:
        text = self._text(name)
        return int(text) if text is not None and text.isdecimal() and len(text) < _DIGITS else None

    def _text(self, name: str) -> str | None:
        value = present(self.delivery.headers).get(name)
        return None if value is None else value.decode("utf-8", "replace")
