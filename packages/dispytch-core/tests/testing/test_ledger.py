"""The record that the conformance kit judges by finds what it is there to find."""

import asyncio

import pytest

from dispytch import Event
from dispytch.envelope import Envelope
from dispytch.messages import Delivery, Lease
from dispytch.testing.conformance.events import (
    EVENT_TYPE,
    Counted,
    Ledger,
    assert_handled,
    assert_in_order,
    counted,
)

EVENTS = counted("orders", keys=2, each=2)
ALL = [("key-0", 0), ("key-1", 0), ("key-0", 1), ("key-1", 1)]


def event(key: str, number: int, attempt: int = 1) -> Event[Counted]:
    body = Counted(topic="orders", key=key, number=number)
    delivery = Delivery("orders", b"", None, (), Lease("orders", "orders[0]"), number)
    envelope = Envelope(
        id="1", type=EVENT_TYPE, source=None, time=None, content_type="application/json", data=b""
    )
    return Event(body, envelope, delivery, attempt)


def test_events_are_numbered_in_turn_for_each_key() -> None:
    assert [(one.key, one.number) for one in EVENTS] == ALL
    later = counted("orders", keys=1, each=2, start=7)
    assert [(one.key, one.number) for one in later] == [("key-0", 7), ("key-0", 8)]


def test_all_of_them_once_is_well() -> None:
    assert_handled(ALL, EVENTS)
    assert_handled(ALL[::-1], EVENTS)


def test_a_lost_event_is_named() -> None:
    with pytest.raises(AssertionError, match=r"1 of 4 lost, such as \[\('key-1', 1\)\]"):
        assert_handled(ALL[:3], EVENTS)


def test_a_lost_event_is_not_made_up_for_by_a_duplicate() -> None:
    with pytest.raises(AssertionError, match="1 of 4 lost"):
        assert_handled([*ALL[:3], ALL[0]], EVENTS, duplicates=5)


def test_an_event_of_nobody_is_named() -> None:
    with pytest.raises(AssertionError, match="never emitted"):
        assert_handled([*ALL, ("key-9", 0)], EVENTS, duplicates=5)


def test_duplicates_have_a_budget() -> None:
    assert_handled([*ALL, ALL[0]], EVENTS, duplicates=1)
    with pytest.raises(AssertionError, match="2 came again, more than the budget of 1"):
        assert_handled([*ALL, ALL[0], ALL[0]], EVENTS, duplicates=1)


def test_a_repetition_is_no_disorder() -> None:
    assert_in_order([("a", 0), ("b", 5), ("a", 1), ("a", 0), ("a", 2)])
    with pytest.raises(AssertionError, match="out of order"):
        assert_in_order([("a", 0), ("a", 2), ("a", 1)])


async def test_runs_are_noted_and_only_those_that_end_well_are_handled() -> None:
    ledger = Ledger()
    with pytest.raises(ValueError, match="no"), ledger.run(event("a", 0)):
        raise ValueError("no")
    with ledger.run(event("a", 0, 2)):
        assert ledger.running == 1
    assert ledger.running == 0
    assert ledger.handled == [("a", 0)]
    with pytest.raises(AssertionError, match="1 handlers did not end"):
        ledger.assert_none_cut_off()
    assert ledger.attempts("a", 0) == [1, 2]


async def test_two_events_of_one_key_at_once_are_caught() -> None:
    ledger = Ledger()
    with ledger.run(event("a", 0)), ledger.run(event("b", 0)):
        assert ledger.most_at_once == 2
    ledger.assert_in_order()

    async def handle(number: int) -> None:
        with ledger.run(event("a", number)):
            await asyncio.sleep(0)

    await asyncio.gather(handle(1), handle(2))
    with pytest.raises(AssertionError, match="at once"):
        ledger.assert_in_order()
