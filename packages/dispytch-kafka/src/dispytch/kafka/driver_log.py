"""Keeping the driver's log readable."""

import logging
import time
from typing import Final

_INTERVAL: Final = 10.0
_LOGGERS: Final = (
    "aiokafka",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
)


class Throttle(logging.Filter):
    """Lets a complaint through once in ten seconds.

    While a broker is away the driver complains of each of its attempts, a dozen times a second and
    at the level of errors.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged; compares what was written in the code, not its values."""
        if record.levelno < logging.WARNING:
            return True
        now = time.monotonic()
        if now - self._last.get(record.msg, -_INTERVAL) < _INTERVAL:
            return False
        self._last[record.msg] = now
        return True


def quieten() -> None:
    """Throttle the driver's loggers; once is enough."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, Throttle) for each in logger.filters):
            logger.addFilter(Throttle())
