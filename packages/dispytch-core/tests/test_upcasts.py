"""Older versions of an event, brought up to the newest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch import Upcast, upcast
from dispytch.exceptions import BodyInvalid, ConfigurationError
from dispytch.upcasts import Upcasts, chains


def step(version: int, event: str = "placed") -> Upcast:
    return Upcast(event, version, lambda data: [*data, version])


@given(
    oldest=st.integers(1, 5), length=st.integers(1, 6), offset=st.integers(0, 6), order=st.data()
)
def test_every_step_from_a_version_on_is_taken_once_and_in_order(
    oldest: int, length: int, offset: int, order: st.DataObject
) -> None:
    versions = list(range(oldest, oldest + length))
    chain = Upcasts("placed", map(step, order.draw(st.permutations(versions))))
    version = min(oldest + offset, chain.newest)
    assert (chain.oldest, chain.newest) == (oldest, oldest + length)
    assert chain.bring([], version) == [one for one in versions if one >= version]


@given(st.sets(st.integers(1, 12), min_size=2))
def test_a_gap_is_refused_and_named(versions: set[int]) -> None:
    missing = [one for one in range(min(versions), max(versions)) if one not in versions]
    if not missing:
        Upcasts("placed", map(step, versions))
        return
    with pytest.raises(ConfigurationError) as caught:
        Upcasts("placed", map(step, versions))
    assert f"@upcast(event='placed', from_version={missing[0]})" in str(caught.value)


def test_a_version_that_leads_two_ways_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="two upcasts lead from version 1 of 'placed'"):
        Upcasts("placed", [step(1), step(1)])


def test_each_event_type_has_a_chain_of_its_own() -> None:
    found = chains([step(2, "paid"), step(1), step(2)])
    assert {event: (one.oldest, one.newest) for event, one in found.items()} == {
        "paid": (2, 3),
        "placed": (1, 3),
    }


def test_a_newer_and_a_forgotten_version_are_refused() -> None:
    chain = Upcasts("placed", [step(2)])
    with pytest.raises(BodyInvalid, match=r"version 4 of 'placed', and the newest .* is 3: deploy"):
        chain.bring([], 4)
    with pytest.raises(BodyInvalid, match="version 1 of 'placed', and upcasts lead from 2 on"):
        chain.bring([], 1)


def test_a_failing_step_makes_the_event_invalid() -> None:
    @upcast(event="placed", from_version=1)
    def broken(data: dict[str, Any]) -> dict[str, Any]:
        return {"total": data["price"]}

    with pytest.raises(BodyInvalid) as caught:
        Upcasts("placed", [broken]).bring({}, 1)
    assert str(caught.value) == (
        "the upcast of 'placed' from version 1 to 2 failed: KeyError in broken, line 66 of "
        "test_upcasts.py"
    )
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_an_upcast_is_called_as_it_is() -> None:
    @upcast(event="placed", from_version=1)
    def add(data: dict[str, Any]) -> dict[str, Any]:
        return data | {"currency": "EUR"}

    assert add({"total": 1}) == {"total": 1, "currency": "EUR"}


async def later(data: Any) -> Any:
    return data


@pytest.mark.parametrize(
    ("event", "version", "function", "text"),
    [
        ("", 1, dict, "event must be an event type"),
        (None, 1, dict, "event must be an event type"),
        ("placed", 0, dict, "from_version must be a whole number from 1, not 0"),
        ("placed", True, dict, "from_version must be a whole number from 1, not True"),
        ("placed", "1", dict, "from_version must be a whole number from 1, not '1'"),
        ("placed", 1, None, "the step is a function"),
        ("placed", 1, later, "not async"),
    ],
)
def test_an_upcast_that_makes_no_sense(event: Any, version: Any, function: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        upcast(event=event, from_version=version)(function)
