"""Keeping the driver's log readable."""

import logging
import time
from typing import Final

from dispytch.short_names import short

_INTERVAL: Final = 10.0
_REMEMBERED: Final = 1_000
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
        now, text = time.monotonic(), short(record.msg)
        if now - self._last.get(text, -_INTERVAL) < _INTERVAL:
            return False
        if len(self._last) >= _REMEMBERED:
            self._last.clear()
        self._last[text] = now
        return True


def quieten() -> None:
    """Throttle the driver's loggers; once is enough."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, Throttle) for each in logger.filters):
            logger.addFilter(Throttle())
