"""The failure policies there are, and what a dead letter keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch import DeadLetterTopic
from dispytch.dead_letters import (
    Failure,
    checked,
    checked_unhandled,
    dead_letter,
    original_headers,
)
from dispytch.exceptions import ConfigurationError
from dispytch.messages import Delivery, Header, Lease
from dispytch.redelivery import Redelivery, returned


@pytest.mark.parametrize("policy", ["halt", "drop", DeadLetterTopic("failed")])
def test_a_known_policy_is_returned(policy: object) -> None:
    assert checked(policy) == policy
    assert checked_unhandled(policy) == policy


@pytest.mark.parametrize("policy", ["ignore", "", None, True, ["halt"]])
def test_any_other_is_refused(policy: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(policy)
    assert str(caught.value) == (
        f"dead_letter must be 'halt', 'drop' or a DeadLetterTopic, not {policy!r}"
    )


def test_what_nobody_takes_may_be_ignored_too() -> None:
    assert checked_unhandled("ignore") == "ignore"
    with pytest.raises(ConfigurationError, match="unhandled must be 'ignore', 'halt'"):
        checked_unhandled("keep")


@pytest.mark.parametrize("name", ["", "{event}", "{topic", "{topic}.{handler}"])
def test_a_name_that_cannot_be_filled_in_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="DeadLetterTopic"):
        DeadLetterTopic(name)


def test_a_name_is_filled_in() -> None:
    assert DeadLetterTopic().of("orders", "billing") == "orders.billing.dead"
    assert DeadLetterTopic("dead").of("orders", "billing") == "dead"


names = st.text(max_size=20) | st.sampled_from(
    ["dispytch-original-topic", "dispytch-attempt", "dispytch-data-x", "dispytch-data-dispytch-due"]
)


@given(
    st.none() | st.binary(max_size=100),
    st.none() | st.binary(max_size=20),
    st.lists(st.tuples(names, st.none() | st.binary(max_size=20)), max_size=5),
)
def test_a_message_goes_through_dead_letter_and_replay_byte_for_byte(
    value: bytes | None, key: bytes | None, headers: list[Header]
) -> None:
    lease = Lease("orders", "orders[3]")
    first = Delivery("orders", value, key, headers, lease=lease, position=7, timestamp_ms=5)
    failure = Failure("failed", ValueError("ö\ud800"), "shop.handle", 2)
    letter = dead_letter(first, failure, destination="dead", group="billing")
    assert (letter.value, letter.key, original_headers(letter.headers)) == (value, key, headers)

    dead = Delivery(
        "dead", letter.value, letter.key, letter.headers, lease=Lease("dead", "dead[0]"), position=1
    )
    returned(dead)
    replay = Redelivery(topic="orders", handler="shop.handle").message(dead, "billing")
    assert (replay.value, replay.key, original_headers(replay.headers)) == (value, key, headers)
    back = Delivery(
        "billing.retry", replay.value, replay.key, replay.headers, lease=lease, position=1
    )
    returned(back)
    assert back.headers == headers
    assert Redelivery.of(back) == Redelivery(topic="orders", handler="shop.handle")
    again = dead_letter(back, failure, destination="dead", group="billing")
    origin = {name: value for name, value in again.headers if name.startswith("dispytch-original")}
    assert origin == {
        "dispytch-original-topic": b"orders",
        "dispytch-original-stream": b"orders[3]",
        "dispytch-original-position": b"7",
        "dispytch-original-timestamp": b"5",
    }
