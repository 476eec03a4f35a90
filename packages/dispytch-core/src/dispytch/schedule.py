"""When an event is to reach its listeners: pure."""

import math
from datetime import UTC, datetime, timedelta

from dispytch.exceptions import ConfigurationError
from dispytch.transport import Backend


def seconds_until(
    backend: Backend, delay: timedelta | float | None, at: datetime | None
) -> float | None:
    """How long the broker is to keep an event back; None where it is due already.

    Raises:
        ConfigurationError: the backend has no delays, or the time is none.
    """
    if delay is None and at is None:
        return None
    if not backend.features.delay:
        raise ConfigurationError(
            f"{type(backend).__name__} cannot keep an event back, so that `delay` and `at` have no "
            "meaning there: emit the event when it is due, or use a backend with the feature "
            "'delay', such as RabbitMQ; a handler can wait by raising RetryAfter(seconds)"
        )
    seconds = _until(at) if delay is None else _length(delay, at)
    return seconds if seconds > 0 else None


def _length(delay: timedelta | float, at: datetime | None) -> float:
    if at is not None:
        raise ConfigurationError("an event is emitted either with `delay` or with `at`, not both")
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        raise ConfigurationError(
            f"`delay` is a timedelta or a number of seconds, from 0 on, not {delay!r}"
        )
    return float(seconds)


def _until(at: datetime | None) -> float:
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise ConfigurationError(
            f"`at` is a datetime with a time zone, such as datetime.now(UTC), not {at!r}"
        )
    return (at - datetime.now(UTC)).total_seconds()
