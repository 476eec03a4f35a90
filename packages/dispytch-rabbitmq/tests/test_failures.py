"""What the driver's exceptions mean."""

import asyncio
import pickle
from copy import copy, deepcopy

import pytest
from aiormq import exceptions as driver

from dispytch.rabbitmq.failures import (
    MALFORMED,
    NOT_FOUND,
    AmqpError,
    ChannelClosed,
    ClosedByBroker,
    ConnectionClosed,
    ConnectionLost,
    failure,
    translated_failures,
)


def test_a_closed_channel_keeps_code_and_words() -> None:
    found = failure(driver.ChannelNotFoundEntity("NOT_FOUND - no queue 'q' in vhost '/'"))
    assert isinstance(found, ChannelClosed)
    assert found.code == NOT_FOUND
    assert "no queue 'q'" in str(found)


@pytest.mark.parametrize("kind", [ClosedByBroker, ChannelClosed, ConnectionClosed])
def test_a_copy_keeps_code_and_words(kind: type[ClosedByBroker]) -> None:
    error = kind(404, "NOT_FOUND")
    for again in (copy(error), deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is kind
        assert (again.code, again.text, str(again)) == (404, "NOT_FOUND", "NOT_FOUND (404)")


def test_a_code_without_a_class_of_its_own_is_kept() -> None:
    found = failure(driver.ChannelClosed(313, "NO_CONSUMERS"))
    assert isinstance(found, ChannelClosed)
    assert (found.code, found.text) == (313, "NO_CONSUMERS")


def test_a_malformed_frame_is_known_as_one() -> None:
    found = failure(driver.ConnectionFrameError("FRAME_ERROR - too large"))
    assert isinstance(found, ConnectionClosed)
    assert found.code in MALFORMED


@pytest.mark.parametrize(
    "error", [ConnectionResetError(104, "reset"), driver.AMQPConnectionError("gone"), EOFError()]
)
def test_a_connection_that_breaks_is_lost(error: Exception) -> None:
    assert isinstance(failure(error), ConnectionLost)


@pytest.mark.parametrize(
    "error",
    [None, asyncio.CancelledError(), driver.ChannelClosed(None, None), ValueError("bad frame")],
)
def test_every_other_end_is_an_end(error: BaseException | None) -> None:
    found = failure(error)
    assert type(found) is AmqpError
    assert str(found)


def test_in_a_block_the_drivers_errors_are_ours_and_others_pass() -> None:
    with pytest.raises(AmqpError) as caught, translated_failures():
        raise driver.ChannelInvalidStateError("closed")
    assert isinstance(caught.value.__cause__, driver.ChannelInvalidStateError)
    with pytest.raises(TimeoutError), translated_failures():
        raise TimeoutError
    with pytest.raises(KeyError), translated_failures():
        raise KeyError("x")
