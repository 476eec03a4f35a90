"""What a handler does not want is skipped."""

from typing import Any

import pytest

from dispytch import Event, Skip
from dispytch.exceptions import ConfigurationError
from dispytch.middleware import Filter, Predicate, wrap


async def handler(event: Event[Any]) -> str:
    return "handled"


async def of_acme(event: Event[Any]) -> bool:
    return event.key == "acme"


@pytest.mark.parametrize("predicate", [lambda event: event.key == "acme", of_acme])
async def test_only_what_is_wanted_is_handled(predicate: Predicate, an_event: Any) -> None:
    run = wrap(handler, [Filter(predicate)])
    assert await run(an_event("acme")) == "handled"
    with pytest.raises(Skip, match="id-2"):
        await run(an_event("other"))


async def test_an_error_of_the_predicate_is_one_of_the_handler(an_event: Any) -> None:
    run = wrap(handler, [Filter(lambda event: event.body["missing"])])
    with pytest.raises(KeyError):
        await run(an_event())


def test_a_predicate_is_a_function() -> None:
    no_function: Any = "acme"
    with pytest.raises(ConfigurationError, match="function of the event"):
        Filter(no_function)
