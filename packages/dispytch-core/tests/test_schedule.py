"""Events that are kept back."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from dispytch import EventBase, EventEmitter
from dispytch.exceptions import ConfigurationError
from dispytch.memory import MemoryBackend
from dispytch.schedule import seconds_until
from dispytch.transport import Features


class Reminder(EventBase):
    __topic__ = "reminders"
    __event_type__ = "due"

    number: int


class WithoutDelays(MemoryBackend):
    features: ClassVar[Features] = Features(durable=False, history=True, shared_order=True)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(uuid4().hex)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (timedelta(minutes=5), 300.0),
        (2, 2.0),
        (0.5, 0.5),
        (0, None),
        (timedelta(0), None),
        (None, None),
    ],
)
def test_a_delay_is_a_timedelta_or_seconds(
    backend: MemoryBackend, delay: timedelta | float | None, seconds: float | None
) -> None:
    assert seconds_until(backend, delay, None) == seconds


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7))])
def test_a_point_in_time_counts_from_now_in_any_zone(
    backend: MemoryBackend, zone: timezone
) -> None:
    at = (datetime.now(UTC) + timedelta(hours=1)).astimezone(zone)
    assert seconds_until(backend, None, at) == pytest.approx(3600, abs=60)


def test_a_time_that_has_passed_means_now(backend: MemoryBackend) -> None:
    assert seconds_until(backend, None, datetime.now(UTC) - timedelta(hours=1)) is None


@pytest.mark.parametrize(
    "delay", [-1, timedelta(seconds=-1), float("nan"), float("inf"), "5", True]
)
def test_a_delay_that_is_none_is_refused(backend: MemoryBackend, delay: Any) -> None:
    with pytest.raises(ConfigurationError, match="`delay` is a timedelta or a number of seconds"):
        seconds_until(backend, delay, None)


@pytest.mark.parametrize("at", [datetime(2030, 1, 1), "2030-01-01T00:00:00Z", 5])
def test_a_time_without_a_zone_is_refused(backend: MemoryBackend, at: Any) -> None:
    with pytest.raises(ConfigurationError, match="with a time zone"):
        seconds_until(backend, None, at)


def test_one_of_the_two_is_given(backend: MemoryBackend) -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        seconds_until(backend, 1, datetime.now(UTC))


@pytest.mark.parametrize("when", [{"delay": 0}, {"delay": 5}, {"at": datetime.now(UTC)}])
async def test_a_backend_without_delays_is_named_before_anything_is_sent(
    when: dict[str, Any],
) -> None:
    backend = WithoutDelays(uuid4().hex)
    async with EventEmitter(backend) as emitter:
        for emitting in (
            emitter.emit(Reminder(number=1), **when),
            emitter.emit_many([Reminder(number=1)], **when),
        ):
            with pytest.raises(ConfigurationError, match="WithoutDelays cannot keep an event back"):
                await emitting
    assert "reminders" not in backend._broker._topics


async def test_an_event_reaches_its_topic_when_it_is_due(backend: MemoryBackend) -> None:
    now = 1000.0
    delayed = backend._broker.delayed
    delayed.clock = lambda: now

    def arrived() -> list[bytes]:
        delayed.deliver()
        topic = backend._broker.topic("reminders", backend.config)
        assert topic is not None
        logs = [partition._log for partition in topic.partitions]
        return sorted(record.value for log in logs for record in log.read(0, 10))

    async with EventEmitter(backend) as emitter:
        await emitter.emit(Reminder(number=1), delay=timedelta(minutes=5))
        await emitter.emit(Reminder(number=2), at=datetime.now(UTC) + timedelta(minutes=10))
        await emitter.emit_many([Reminder(number=3)], delay=1)
    assert arrived() == []
    now = 1001.0
    assert arrived() == [b'{"number":3}']
    now = 1299.0
    assert arrived() == [b'{"number":3}']
    now = 1300.0
    assert arrived() == [b'{"number":1}', b'{"number":3}']
    now = 1600.0
    assert len(arrived()) == 3
