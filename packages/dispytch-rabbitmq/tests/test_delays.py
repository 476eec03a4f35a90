"""Delay steps, and the queues that keep messages back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch.exceptions import TopologyError, TransportError
from dispytch.rabbitmq.delays import LONGEST, STEPS, WEEK, delay_queue, step, week_of
from dispytch.rabbitmq.topology import group_queues


@given(st.floats(0.000_001, LONGEST / 1000))
def test_a_step_is_never_shorter_than_the_delay(delay: float) -> None:
    assert step(delay) >= delay * 1000


@given(st.floats(0.1, LONGEST / 1000))
def test_a_step_is_at_most_twice_the_delay(delay: float) -> None:
    assert step(delay) <= delay * 2000


def test_steps_ascend_and_are_few() -> None:
    assert list(STEPS) == sorted(set(STEPS))
    assert len(STEPS) < 40


@pytest.mark.parametrize(
    ("delay", "milliseconds"),
    [(0.001, 100), (1, 1000), (1.001, 2000), (60, 60_000), (86_400, 86_400_000)],
)
def test_round_delays_are_steps(delay: float, milliseconds: int) -> None:
    assert step(delay) == milliseconds


def test_beyond_a_day_whole_days_are_waited() -> None:
    assert step(86_401) == 2 * 86_400_000


def test_a_delay_that_the_broker_cannot_have_is_refused() -> None:
    with pytest.raises(TransportError, match="49 days"):
        step(50 * 86_400)


def test_a_delay_queue_leads_back_to_where_the_message_was_to_go() -> None:
    queue = delay_queue("dispytch", "billing.retry", 4.2)
    assert queue.name == "dispytch.#.delay.5000:billing.retry"
    assert queue.arguments((3, 10)) == {
        "x-queue-type": "quorum",
        "x-message-ttl": 5000,
        "x-dead-letter-exchange": "dispytch",
        "x-dead-letter-routing-key": "billing.retry",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def test_an_old_broker_is_asked_for_nothing_that_it_does_not_know() -> None:
    arguments = delay_queue("dispytch", "t", 1).arguments((3, 9))
    assert "x-dead-letter-strategy" not in arguments
    assert "x-queue-type" not in arguments


@given(st.floats(0.001, LONGEST / 1000), st.floats(0, 4e9))
def test_a_delay_queue_expires_a_week_after_the_last_message_was_due(
    delay: float, now: float
) -> None:
    queue = delay_queue("dispytch", "t", delay, week_of(now))
    expires = queue.arguments((3, 10)).get("x-expires")
    if queue.week is None:
        assert expires is None
        assert queue.name == f"dispytch.#.delay.{queue.milliseconds}:t"
        assert queue.milliseconds > 34 * 86_400_000, "the broker cannot count so far"
    else:
        last_sent = WEEK
        assert expires >= last_sent + queue.milliseconds + WEEK
        assert expires < 2**32


def test_each_week_has_queues_of_its_own() -> None:
    weeks = [week_of(n * WEEK / 1000) for n in range(3)]
    assert weeks == [0, 1, 2]
    assert delay_queue("dispytch", "t", 1, 2900).name == "dispytch.#.delay.1000.2900:t"


def test_no_delay_queue_is_that_of_a_group() -> None:
    with pytest.raises(TopologyError, match="stand for other words"):
        group_queues(("dispytch.#.delay.5000",), "t", "quorum", None)


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(TopologyError, match="shorten"):
        delay_queue("dispytch", "t" * 240, 1)
