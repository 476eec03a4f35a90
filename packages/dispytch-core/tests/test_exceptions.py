"""The error tree."""

import inspect

import pytest

from dispytch import exceptions
from dispytch.exceptions import (
    BrokerUnreachable,
    DispytchError,
    MessageTooLarge,
    SendError,
    SendTimeout,
    TransportError,
)

ERRORS = [
    error
    for _, error in inspect.getmembers(exceptions, inspect.isclass)
    if error.__module__ == exceptions.__name__
]


@pytest.mark.parametrize("error", ERRORS)
def test_the_tree_that_is_drawn_is_the_tree_there_is(error: type[Exception]) -> None:
    lines = (exceptions.__doc__ or "").splitlines()
    row, depth = next(
        (row, line.index(error.__name__))
        for row, line in enumerate(lines)
        if line.strip("│├└─ ").split(" ")[0] == error.__name__
    )
    assert issubclass(error, DispytchError)
    if error is not DispytchError:
        above = next(
            line.strip("│├└─ ").split(" ")[0]
            for line in reversed(lines[:row])
            if line.strip() and len(line) - len(line.lstrip("│├└─ ")) < depth
        )
        assert error.__mro__[1].__name__ == above


def test_a_send_error_names_three_and_keeps_all_by_index() -> None:
    failures: dict[int, TransportError] = {
        7: SendTimeout("no answer"),
        2: MessageTooLarge("2 MB"),
        5: BrokerUnreachable("kafka:9092"),
        9: SendTimeout("no answer"),
    }
    error = SendError(failures, 10)
    assert list(error.failures) == [2, 5, 7, 9]
    assert error.total == 10
    assert str(error) == (
        "4 of 10 messages are not confirmed (#2: 2 MB; #5: kafka:9092; #7: no answer, ...); "
        "the others are durable"
    )
