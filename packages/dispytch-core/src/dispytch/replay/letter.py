"""A dead letter, as it is read."""

from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from dispytch import dead_letters as names
from dispytch.dead_letters import Reason
from dispytch.messages import Delivery, Headers, present


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter: the message as it was, and why it was given up.

    ``delivery`` has it as the broker handed it out, all headers included.
    """

    delivery: Delivery

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
        return int(self._text(names.ATTEMPTS) or 0)

    @property
    def failed_at(self) -> datetime | None:
        """When it was given up."""
        text = self._text(names.FAILED_AT)
        return None if text is None else datetime.fromisoformat(text)

    @property
    def error(self) -> str:
        """The type of the error, and its text."""
        kind, text = self._text(names.EXCEPTION_TYPE), self._text(names.EXCEPTION_MESSAGE)
        return ": ".join(part for part in (kind, text) if part)

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
        """The message's value; None in a tombstone."""
        return self.delivery.value

    @property
    def key(self) -> bytes | None:
        """The message's key."""
        return self.delivery.key

    @property
    def headers(self) -> Headers:
        """The message's own headers, without those that say why it was given up."""
        return names.original_headers(self.delivery.headers)

    def _text(self, name: str) -> str | None:
        value = present(self.delivery.headers).get(name)
        return None if value is None else value.decode("utf-8", "replace")
