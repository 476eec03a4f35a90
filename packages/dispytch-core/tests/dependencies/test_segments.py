"""Segments of the topic, as parameters."""

from collections.abc import Callable
from datetime import date
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import Field

from dispytch import Dependency, Event, TopicSegment
from dispytch.dependencies import Wiring, bind
from dispytch.envelope import Envelope
from dispytch.exceptions import DependencyError, ParameterInvalid
from dispytch.messages import Delivery, Lease
from dispytch.topics import TopicPattern


class Action(Enum):
    CREATED = "created"
    GONE = "gone"


class Level(IntEnum):
    LOW = 1


async def handled(handler: Callable[..., Any], topic: str, text: str) -> Any:
    pattern = TopicPattern.of(text)
    plan = Wiring().plan(handler, (), text, pattern)
    delivery = Delivery(topic, b"", None, (), Lease(topic, topic), 1)
    envelope = Envelope("1", None, None, None, "application/json", b"")
    return await bind(plan, {})(Event(None, envelope, delivery, pattern=pattern))


async def test_a_field_arrives_by_the_parameter_s_name() -> None:
    async def handle(
        order_id: Annotated[int, TopicSegment()], what: Annotated[str, TopicSegment()]
    ) -> Any:
        return order_id, what

    assert await handled(handle, "order:42.paid", "order:{order_id}:{what}") == (42, "paid")


async def test_by_an_alias_a_default_value_and_in_dependencies() -> None:
    def user(
        identity: Annotated[int, TopicSegment(alias="user.id")], plain: str = TopicSegment()
    ) -> Any:
        return identity, plain

    async def handle(
        event: Event[Any], user: Annotated[Any, Dependency(user)], bare=TopicSegment(alias="plain")
    ) -> Any:
        return user, bare, event.segments

    assert await handled(handle, "user.7.x", "user.{user.id}.{plain}") == (
        (7, "x"),
        "x",
        {"user.id": "7", "plain": "x"},
    )


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "42", 42),
        (float, "2", 2.0),
        (bool, "true", True),
        (str, "42", "42"),
        (UUID, "12345678123456781234567812345678", UUID(int=0x12345678123456781234567812345678)),
        (date, "2024-02-29", date(2024, 2, 29)),
        (Action, "gone", Action.GONE),
        (Level, "1", Level.LOW),
        (Literal["a", "b"], "b", "b"),
        (int | str, "x", "x"),
        (int | None, "4", 4),
        (Any, "4", "4"),
    ],
)
async def test_types(kind: Any, text: str, value: object) -> None:
    async def handle(it: Annotated[kind, TopicSegment()]) -> Any:
        return it

    result = await handled(handle, f"a.{text}", "a.{it}")
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[int, TopicSegment(ge=1)],
        Annotated[int, TopicSegment(), Field(ge=1)],
        Annotated[int, Field(ge=1), TopicSegment()],
        Annotated[str, TopicSegment(pattern="[1-9]+")],
        Annotated[str, TopicSegment(max_length=0)] | None,
        Annotated[Action, TopicSegment()],
    ],
)
async def test_a_segment_that_is_refused_makes_the_event_invalid(annotation: Any) -> None:
    async def handle(it: annotation) -> Any:
        return it

    with pytest.raises(ParameterInvalid, match=r"'0', the \{it\} of topic 'a.0', is refused: "):
        await handled(handle, "a.0", "a.{it}")


@pytest.mark.parametrize(
    ("topic", "text"),
    [("orders", "the topic 'orders' has no field {id}"), ("a.{other}", "but {other}")],
)
def test_a_field_that_the_topic_lacks_is_refused_with_the_path(topic: str, text: str) -> None:
    def user(id: Annotated[int, TopicSegment()]) -> int:
        return id

    async def handle(user: Annotated[int, Dependency(user)]) -> None: ...

    with pytest.raises(DependencyError) as raised:
        Wiring().plan(handle, (), topic, TopicPattern.of(topic))
    assert "parameter `user` → dependency `" in str(raised.value)
    assert "→ parameter `id`: " in str(raised.value)
    assert text in str(raised.value)
    assert "'user.{id}'" in str(raised.value)


def test_what_pydantic_cannot_validate_is_refused() -> None:
    class Strange: ...

    async def handle(it: Annotated[Strange, TopicSegment()]) -> None: ...

    with pytest.raises(DependencyError, match="parameter `it`: pydantic cannot validate a segment"):
        Wiring().plan(handle, (), "a.{it}", TopicPattern.of("a.{it}"))


def test_a_marker_that_is_not_called_is_refused() -> None:
    async def handle(it: Annotated[int, TopicSegment]) -> None: ...

    with pytest.raises(
        DependencyError, match=r"`it`: call TopicSegment, as in TopicSegment\(\.\.\."
    ):
        Wiring().plan(handle, (), "a.{it}", TopicPattern.of("a.{it}"))


def test_an_app_scoped_dependency_cannot_ask_for_a_segment() -> None:
    def pool(it: Annotated[int, TopicSegment()]) -> int:
        return it

    async def handle(pool: Annotated[int, Dependency(pool, scope="app")]) -> None: ...

    with pytest.raises(DependencyError, match="belongs to one event"):
        Wiring().plan(handle, (), "a.{it}", TopicPattern.of("a.{it}"))
