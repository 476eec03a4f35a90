"""What must be asked for before an event can be read: the schema that it was written by."""

import logging
from collections.abc import Callable
from typing import Any

from dispytch.exceptions import RegistryUnavailable
from dispytch.serialization import Unresolved, resolved

logger: logging.Logger = logging.getLogger("dispytch")


class Lookups:
    """Asks, and remembers what is wrong while nobody answers.

    ``trouble`` says it for health; None when all is well.
    """

    def __init__(self) -> None:
        self.trouble: str | None = None

    async def read(self, read: Callable[[], Any], missing: Unresolved) -> Any:
        """What `read` returns once it has what was missing.

        Raises:
            SerializationError: there is no hope for this event.
            RegistryUnavailable: nobody answers; the event is to be read again later.
        """
        try:
            found = await resolved(read, missing)
        except RegistryUnavailable as error:
            if self.trouble is None:
                logger.error("events cannot be read, and wait: %s", error, exc_info=error)
            self.trouble = f"events cannot be read: {error}"
            raise
        self.trouble = None
        return found
