"""Keeping the driver's log readable."""

import logging
from typing import Final

_LOGGER: Final = "aiormq.connection"
_TRY_FAILED: Final = "error when creating transport: %r"


class FailedTries(logging.Filter):
    """Keeps out what the driver says of each try to connect, several times a second.

    It raises the same, and whoever tries says so: once, and with the address.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged; compares what was written in the code, not its values."""
        return record.msg != _TRY_FAILED


def quieten() -> None:
    """Have failed tries be kept out; once is enough."""
    logger = logging.getLogger(_LOGGER)
    if not any(isinstance(each, FailedTries) for each in logger.filters):
        logger.addFilter(FailedTries())
