import logging

import pytest

from dispytch.kafka import driver_log
from dispytch.kafka.driver_log import Throttle, quieten


def _record(message: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", level, "", 0, message, (), None)


def test_a_complaint_is_let_through_once_in_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(driver_log.time, "monotonic", lambda: now)
    throttle = Throttle()
    assert throttle.filter(_record("no node %s"))
    assert not throttle.filter(_record("no node %s"))
    assert throttle.filter(_record("another"))
    assert throttle.filter(_record("no node %s", logging.INFO))
    now += 10
    assert throttle.filter(_record("no node %s"))


def test_once_is_enough() -> None:
    quieten()
    quieten()
    filters = logging.getLogger("aiokafka").filters
    assert sum(isinstance(each, Throttle) for each in filters) == 1
