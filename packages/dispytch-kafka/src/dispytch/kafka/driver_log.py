"""Keeping the driver's log readable."""

import logging
import time
from collections import Counter
from typing import Final

from dispytch.short_names import short

_INTERVAL: Final = 10.0
_REMEMBERED: Final = 1_000
_LOGGERS: Final = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
)


class Throttle(logging.Filter):
    """Lets a complaint through once in ten seconds, and says how many it has held back since.

    While a broker is away the driver complains of each of its attempts, a dozen times a second and
    at the level of errors. What is compared is what a reader would see.
    """

    def __init__(self) -> None:
        super().__init__()
        self._let_through: dict[str, float] = {}
        self._held_back: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        if record.levelno < logging.WARNING:
            return True
        now, said = time.monotonic(), record.getMessage()
        text = short(said)
        if now - self._let_through.get(text, -_INTERVAL) < _INTERVAL:
            self._held_back[text] += 1
            return False
        if len(self._let_through) >= _REMEMBERED:
            self._let_through.clear()
            self._held_back.clear()
        self._let_through[text] = now
        if held_back := self._held_back.pop(text, 0):
            record.msg, record.args = f"{said} (and {held_back} times more before that)", None
        return True


def quieten() -> None:
    """Throttle the driver's loggers; once is enough."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, Throttle) for each in logger.filters):
            logger.addFilter(Throttle())
