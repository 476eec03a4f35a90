"""What a plan says of its handler."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from dispytch.dependencies import Dependency, bind, compile_handler
from dispytch.events import Event


class Emitter: ...


class Clock: ...


class User(BaseModel): ...


def of_user(event: Event[User]) -> User:
    return event.body


def of_any(event: Event) -> str:  # type: ignore[type-arg]
    return event.id


def emitting(emitter: Emitter) -> Emitter:
    return emitter


def test_nothing_asked_for() -> None:
    async def handler(a: Annotated[int, ["unhashable"]] = 1) -> None: ...

    plan = compile_handler(handler, provided={Emitter})
    assert (plan.body, plan.takes_event, plan.provided) == (Any, False, frozenset())


def test_a_bare_event_asks_for_plain_data() -> None:
    async def handler(event: Event) -> None: ...  # type: ignore[type-arg]

    plan = compile_handler(handler)
    assert (plan.body, plan.takes_event) == (Any, True)


def test_the_body_is_that_of_the_handlers_event() -> None:
    async def handler(
        name: Annotated[str, Dependency(of_any)],
        event: Event[User] | None,
        again: Event[User],
        user: Annotated[User, Dependency(of_user)],
    ) -> None: ...

    assert compile_handler(handler).body is User


def test_the_body_is_what_a_dependency_asks_for_when_the_handler_does_not() -> None:
    async def handler(
        user: Annotated[User, Dependency(of_user)], name: Annotated[str, Dependency(of_any)]
    ) -> None: ...

    plan = compile_handler(handler)
    assert (plan.body, plan.takes_event) == (User, True)


def test_only_what_is_needed_is_asked_of_the_framework() -> None:
    async def handler(emitter: Annotated[Emitter, Dependency(emitting)]) -> None: ...

    plan = compile_handler(handler, provided={Emitter, Clock})
    assert plan.provided == {Emitter}
    with pytest.raises(KeyError):
        bind(plan, {Clock: Clock()})
