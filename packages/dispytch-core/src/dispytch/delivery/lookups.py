"""What must be asked for before an event can be read: the schema that it was written by."""

import logging
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

from dispytch.exceptions import RegistryUnavailable
from dispytch.printable import TEXT_LIMIT, printable
from dispytch.serialization import Unresolved, resolved
from dispytch.short_names import short
from dispytch.tracebacks import exc_info

logger: logging.Logger = logging.getLogger("dispytch")

_LATE: Final = 5.0
"""Seconds by which an event may be late to ask again."""

_REMEMBERED: Final = 1_000


class Lookups:
    """Asks, and remembers what is not answered, for as long as there are events that ask again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unanswered: dict[Hashable, tuple[str, float]] = {}

    @property
    def trouble(self) -> str | None:
        """What is wrong, for health; None when all is well."""
        now = self._clock()
        for about in [one for one, (_, until) in self._unanswered.items() if until <= now]:
            del self._unanswered[about]
        return next((text for text, _ in self._unanswered.values()), None)

    async def read(self, read: Callable[[], Any], missing: Unresolved) -> Any:
        """What `read` returns once it has what was missing.

        Raises:
            SerializationError: there is no hope for this event.
            RegistryUnavailable: nobody answers; the event is to be read again later.
        """
        try:
            found = await resolved(read, missing)
        except RegistryUnavailable as error:
            self._note(short(missing.about), error)
            raise
        except Exception:
            self._unanswered.pop(short(missing.about), None)
            raise
        self._unanswered.pop(short(missing.about), None)
        return found

    def _note(self, about: Hashable, error: RegistryUnavailable) -> None:
        reason = printable(error, TEXT_LIMIT)
        text = f"events cannot be read: {reason}"
        if self.trouble is None:
            shown = exc_info(error)
            logger.error("events cannot be read, and wait: %s", reason, exc_info=shown)
        if about in self._unanswered or len(self._unanswered) < _REMEMBERED:
            self._unanswered[about] = (text, self._clock() + error.seconds + _LATE)
