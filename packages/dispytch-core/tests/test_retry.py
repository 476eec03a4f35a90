"""The arithmetic of retries, by property."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch.exceptions import (
    BrokerUnreachable,
    ConfigurationError,
    MessageTooLarge,
    RegistryUnavailable,
    SendError,
    SendTimeout,
    TransportError,
)
from dispytch.retry import RetryPolicy

seconds = st.floats(0, 1e300) | st.integers(0, 10**12)


@st.composite
def made(draw: st.DrawFn) -> RetryPolicy:
    delay, jitter = draw(seconds), draw(st.booleans())
    longer = seconds.filter(lambda one: one >= delay) | st.just(delay)
    return RetryPolicy(
        attempts=draw(st.integers(1, 10**9)),
        delay=delay,
        factor=draw(st.floats(1, 1e300) | st.integers(1, 10**6)),
        max_delay=draw(st.none() | longer),
        jitter=jitter,
        time_limit=draw(st.none() | (seconds if jitter else longer)),
    )


policies = made()
draws = st.floats(0, 1, exclude_max=True)


@given(policies, st.integers(1, 10**9), st.floats(0, 1e9), draws)
def test_delays_stay_within_their_bounds(
    policy: RetryPolicy, attempt: int, elapsed: float, drawn: float
) -> None:
    delay = policy.next_delay(
        attempt=attempt, error=ValueError(), elapsed=elapsed, draw=lambda: drawn
    )
    if attempt >= policy.attempts:
        assert delay is None
    elif delay is None:
        assert policy.time_limit is not None
    else:
        assert 0 <= delay <= policy.longest_delay
        assert policy.time_limit is None or elapsed + delay <= policy.time_limit


@given(policies, st.integers(1, 50), draws)
def test_jitter_only_shortens(policy: RetryPolicy, attempt: int, drawn: float) -> None:
    full = RetryPolicy(
        attempts=100,
        delay=policy.delay,
        factor=policy.factor,
        max_delay=policy.max_delay,
        jitter=False,
    )
    jittered = RetryPolicy(
        attempts=100, delay=policy.delay, factor=policy.factor, max_delay=policy.max_delay
    )
    longest = full.next_delay(attempt=attempt, error=ValueError(), elapsed=0)
    drawn_delay = jittered.next_delay(
        attempt=attempt, error=ValueError(), elapsed=0, draw=lambda: drawn
    )
    assert longest is not None
    assert drawn_delay == longest * drawn


@given(policies.filter(lambda policy: not policy.jitter and policy.time_limit is None))
def test_delays_never_shrink(policy: RetryPolicy) -> None:
    delays = [
        policy.next_delay(attempt=attempt, error=ValueError(), elapsed=0)
        for attempt in range(1, min(policy.attempts, 1200))
    ]
    assert all(delay is not None for delay in delays)
    assert delays == sorted(delays, key=lambda delay: delay or 0)


def test_an_example() -> None:
    policy = RetryPolicy(attempts=6, delay=1, factor=3, max_delay=20, jitter=False)
    delays = [policy.next_delay(attempt=n, error=OSError(), elapsed=0) for n in range(1, 7)]
    assert delays == [1, 3, 9, 20, 20, None]


def test_no_delay_stays_none_however_often() -> None:
    policy = RetryPolicy(attempts=10**9, delay=0, factor=2, jitter=False)
    assert policy.next_delay(attempt=10**6, error=OSError(), elapsed=0) == 0


def test_only_errors_that_are_worth_it() -> None:
    policy = RetryPolicy(attempts=3, retry_on=(OSError, ValueError), give_up_on=ConnectionError)

    def retried(error: Exception) -> bool:
        return policy.next_delay(attempt=1, error=error, elapsed=0) is not None

    assert retried(OSError())
    assert retried(FileNotFoundError())
    assert retried(UnicodeError())
    assert not retried(ConnectionResetError())
    assert not retried(KeyError())


def test_by_default_nothing_is_run_twice() -> None:
    assert RetryPolicy().next_delay(attempt=1, error=ValueError(), elapsed=0) is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"attempts": 0}, "attempts must be at least 1, not 0"),
        ({"delay": -1}, "delay must not be negative or infinite, not -1"),
        ({"delay": nan}, "delay must not be negative or infinite, not nan"),
        ({"delay": inf}, "delay must not be negative or infinite, not inf"),
        ({"factor": 0.5}, "factor must be at least 1 and finite, not 0.5"),
        ({"factor": inf}, "factor must be at least 1 and finite, not inf"),
        ({"max_delay": -0.1}, "max_delay must not be negative, not -0.1"),
        ({"max_delay": nan}, "max_delay must not be negative, not nan"),
        ({"max_delay": ""}, "times are numbers, not (1.25, 2.0, '')"),
        ({"time_limit": False}, "times are numbers, not (1.25, 2.0, False)"),
        ({"delayed": "no"}, "switches are True or False, not (True, 'no')"),
        ({"jitter": 0}, "switches are True or False, not (0, False)"),
        ({"retry_on": KeyError, "give_up_on": LookupError}, "give_up_on must leave something of"),
        (
            {"retry_on": (KeyError, OSError), "give_up_on": (OSError, KeyError)},
            "give_up_on must leave",
        ),
        ({"give_up_on": Exception}, "give_up_on must leave something of retry_on=<class 'Exc"),
        ({"delay": 5, "max_delay": 4}, "max_delay must be at least delay=5, or the delay would"),
        (
            {"attempts": 2, "delay": 5, "time_limit": 4, "jitter": False},
            "time_limit must be at least delay=5, or nothing would be retried, not 4",
        ),
        ({"time_limit": -1}, "time_limit must not be negative, not -1"),
        ({"retry_on": "ValueError"}, "retry_on takes exception classes, not 'ValueError'"),
        ({"retry_on": [ValueError]}, "retry_on takes exception classes, not "),
        ({"retry_on": KeyboardInterrupt}, "retry_on takes exception classes, not "),
        ({"give_up_on": ValueError()}, "give_up_on takes exception classes, not ValueError()"),
    ],
)
def test_nonsense_is_refused_by_name(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RetryPolicy(**options)
    assert str(caught.value).startswith(f"RetryPolicy: {text}")


def test_the_longest_delay_follows_the_first_one() -> None:
    hourly = RetryPolicy(attempts=3, delay=3600, jitter=False)
    assert [hourly.next_delay(attempt=n, error=OSError(), elapsed=0) for n in (1, 2)] == [3600] * 2
    assert RetryPolicy(delay=3).longest_delay == 60
    assert replace(RetryPolicy(delay=3), delay=90).longest_delay == 90


class OrderFailed(Exception):
    pass


def chained(error: Exception, cause: BaseException | None) -> Exception:
    error.__cause__ = cause
    return error


ITSELF = OrderFailed()
ITSELF.__cause__ = ITSELF

TRANSIENT = [
    SendTimeout("late"),
    BrokerUnreachable("away"),
    RegistryUnavailable("away"),
    SendError({0: SendTimeout("late"), 2: BrokerUnreachable("away")}, 3),
    ExceptionGroup("two", [SendTimeout("late"), SendError({0: SendTimeout("late")}, 1)]),
    chained(OrderFailed(), SendTimeout("late")),
    chained(OrderFailed(), chained(ValueError(), BrokerUnreachable("away"))),
    chained(OrderFailed(), ExceptionGroup("one", [SendTimeout("late")])),
    ExceptionGroup("one", [chained(OrderFailed(), SendTimeout("late"))]),
]
LASTING = [
    OrderFailed(),
    ITSELF,
    MessageTooLarge("2 MB"),
    TransportError("refused"),
    SendError({0: SendTimeout("late"), 1: MessageTooLarge("2 MB")}, 2),
    ExceptionGroup("two", [SendTimeout("late"), OrderFailed()]),
    chained(OrderFailed(), MessageTooLarge("2 MB")),
]


@pytest.mark.parametrize("error", TRANSIENT)
def test_what_passes_by_itself_is_retried_whatever_retry_on_says(error: Exception) -> None:
    policy = RetryPolicy(attempts=3, delay=2, jitter=False, retry_on=KeyError)
    assert policy.next_delay(attempt=1, error=error, elapsed=0) == 2
    assert policy.next_delay(attempt=3, error=error, elapsed=0) is None
    for named in (TransportError, (SendTimeout, BrokerUnreachable, RegistryUnavailable)):
        given_up = replace(policy, give_up_on=named)
        assert given_up.next_delay(attempt=1, error=error, elapsed=0) is None


@pytest.mark.parametrize("error", LASTING)
def test_what_does_not_is_judged_by_retry_on(error: Exception) -> None:
    policy = RetryPolicy(attempts=3, retry_on=KeyError)
    assert policy.next_delay(attempt=1, error=error, elapsed=0) is None


def test_to_give_one_of_them_up_leaves_the_others() -> None:
    policy = RetryPolicy(attempts=3, retry_on=KeyError, give_up_on=SendTimeout)
    assert policy.next_delay(attempt=1, error=BrokerUnreachable("away"), elapsed=0) is not None
    assert policy.next_delay(attempt=1, error=SendTimeout("late"), elapsed=0) is None
