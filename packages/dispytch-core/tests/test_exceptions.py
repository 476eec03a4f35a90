"""The error tree."""

import asyncio
import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from dispytch import exceptions
from dispytch.exceptions import (
    BatchFailed,
    BrokerUnreachable,
    DispytchError,
    MessageTooLarge,
    Postpone,
    RegistryUnavailable,
    Reject,
    RequestFailed,
    RetryAfter,
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


MADE: dict[type[Exception], tuple[object, ...]] = {
    RegistryUnavailable: ("no answer", 3.0),
    SendError: ({1: SendTimeout("no answer")}, 2),
    RetryAfter: (5, "busy"),
    Postpone: (5,),
    BatchFailed: ({0: Reject("no"), 3: SendError({0: SendTimeout("late")}, 1)},),
    RequestFailed: ("request Ask", "failed", "app.handle", "ValueError", "no"),
}
"""What an error is made of where it is not made of its text."""

WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {number}": lambda error, number=number: pickle.loads(pickle.dumps(error, number))
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def seen(error: object) -> object:
    """What can be told apart of an error."""
    if isinstance(error, dict):
        return {index: seen(one) for index, one in error.items()}
    if not isinstance(error, BaseException):
        return error
    state = {name: seen(value) for name, value in vars(error).items()}
    return type(error), str(error), error.args, state


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_can_be_copied_and_pickled(kind: type[Exception], way: str) -> None:
    error = kind(*MADE.get(kind, ("what is wrong",)))
    error.add_note("seen twice")
    again = WAYS[way](error)
    assert again is not error
    assert seen(again) == seen(error)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ERRORS)
def test_so_can_what_is_derived_from_it_whatever_it_takes(kind: type[Exception], way: str) -> None:
    def make(self: Any, order: int, *, urgent: bool) -> None:
        kind.__init__(self, *MADE.get(kind, (f"order {order}",)))
        self.order, self.urgent = order, urgent

    name = f"Further{kind.__name__}"
    derived = type(name, (kind,), {"__init__": make, "__slots__": ("urgent",)})
    derived.__module__ = __name__
    globals()[name] = derived
    error: Any = derived(7, urgent=True)
    again = WAYS[way](error)
    assert seen(again) == seen(error)
    assert (again.order, again.urgent) == (7, True)


async def test_copies_of_a_postponement_wait_for_the_same_future() -> None:
    until: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    error = Postpone(5, until=until)
    assert copy.copy(error).until is until
    assert copy.deepcopy([error])[0].until is until
    # Another process has another event loop.
    assert pickle.loads(pickle.dumps(error)).until is None
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
