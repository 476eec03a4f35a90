import logging

import pytest

from dispytch.kafka import driver_log
from dispytch.kafka.driver_log import Throttle, quieten


def _record(message: str, *values: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", level, "", 0, message, values, None)


def test_a_complaint_is_let_through_once_in_ten_seconds_with_the_number_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(driver_log.time, "monotonic", lambda: now)
    throttle = Throttle()
    assert throttle.filter(_record("no node %s", 1))
    assert not throttle.filter(_record("no node %s", 1))
    assert not throttle.filter(_record("no node 1"))
    assert throttle.filter(_record("no node %s", 2)), "another node is another complaint"
    assert throttle.filter(_record("no node %s", 1, level=logging.INFO))
    now += 10
    record = _record("no node %s", 1)
    assert throttle.filter(record)
    assert record.getMessage() == "no node 1 (and 2 times more before that)"
    now += 10
    record = _record("no node %s", 1)
    assert throttle.filter(record)
    assert record.getMessage() == "no node 1"


def test_a_topic_that_is_not_there_is_complained_of_as_rarely() -> None:
    quieten()
    filters = logging.getLogger("aiokafka.cluster").filters
    assert any(isinstance(each, Throttle) for each in filters)


def test_once_is_enough() -> None:
    quieten()
    quieten()
    filters = logging.getLogger("aiokafka").filters
    assert sum(isinstance(each, Throttle) for each in filters) == 1
