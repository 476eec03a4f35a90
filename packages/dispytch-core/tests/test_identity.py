"""Ids and times, against those of the standard library."""

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispytch import identity
from dispytch.identity import new_identities, new_uuid, utc_now


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_the_uuid_of_its_random_bytes(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(identity, "urandom", lambda size: data[:size])
        made = new_uuid()
    assert made == str(UUID(bytes=data, version=4))
    assert UUID(made).variant == RFC_4122


def test_identities_that_are_made_together_have_ids_of_their_own_and_one_time() -> None:
    made = list(new_identities(1_000))
    assert len({id_ for id_, _ in made}) == 1_000
    assert all(UUID(id_).version == 4 and UUID(id_).variant == RFC_4122 for id_, _ in made)
    assert len({time for _, time in made}) == 1


def test_ids_come_from_the_systems_generator_and_do_not_repeat() -> None:
    assert identity.urandom is os.urandom
    assert len({new_uuid() for _ in range(10_000)}) == 10_000


@given(st.datetimes(datetime(2001, 9, 10), datetime(2286, 11, 20), timezones=st.just(UTC)))
def test_a_time_is_read_as_what_it_was(moment: datetime) -> None:
    nanoseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: nanoseconds + 999)
        written = [utc_now(), utc_now()]
    assert written == [moment.isoformat(timespec="microseconds").replace("+00:00", "Z")] * 2


def test_the_time_goes_on() -> None:
    before = datetime.now(UTC)
    written = datetime.fromisoformat(utc_now())
    assert before - timedelta(microseconds=1) <= written <= datetime.now(UTC)
