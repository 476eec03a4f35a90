"""Tombstones: emitted, received, retried and dead-lettered without a body."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import BaseModel

from dispytch import (
    DeadLetters,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    RetryPolicy,
    Tombstone,
)
from dispytch.exceptions import InvalidEvent
from dispytch.testing.transport.reader import eventually


class Changed(EventBase):
    __topic__ = "users.{region}"
    __event_type__ = "changed"
    __key__ = "{id}"

    id: int
    region: str
    name: str


class User(BaseModel):
    name: str


async def test_a_tombstone_goes_where_its_events_go_and_stays_null_through_a_retry() -> None:
    url = f"memory://{uuid4().hex}"
    group, seen = HandlerGroup("users.eu"), list[tuple[object, ...]]()

    @group.handler(event="changed", retry=RetryPolicy(attempts=2, delay=0.01, delayed=True))
    async def handle(event: Event[User | None]) -> None:
        seen.append((event.body, event.key, event.delivery.value, event.attempt))
        if event.attempt == 1:
            raise ValueError("once more")

    listener = EventListener(url, group="g")
    listener.add_handler_group(group)
    async with listener, EventEmitter(url) as emitter:
        await emitter.emit(Tombstone(Changed, id=42, region="eu"))
        await eventually(lambda: listener.outcomes.handled == 1, "the tombstone", 5.0)
    assert seen == [(None, "42", None, 1), (None, "42", None, 2)]


async def test_a_handler_of_a_model_gives_a_tombstone_up_and_its_letter_is_null_too() -> None:
    url = f"memory://{uuid4().hex}"
    group = HandlerGroup("users.eu")

    @group.handler(event="changed")
    async def handle(event: Event[User]) -> None: ...

    listener = EventListener(url, group="g")
    listener.add_handler_group(group)
    letters = DeadLetters(url, topic="users.eu", group="g")
    async with listener, EventEmitter(url) as emitter:
        await emitter.emit_many(
            [Changed(id=1, region="eu", name="Ada"), Tombstone(Changed, id=1, region="eu")]
        )
        await eventually(lambda: listener.outcomes.dead_lettered == 1, "its letter", 5.0)
    (letter,) = await letters.read()
    assert (letter.value, letter.key, letter.reason) == (None, b"1", "invalid")
    assert not letter.by_reference


async def test_a_tombstone_keeps_its_id_when_it_is_emitted_again() -> None:
    url = f"memory://{uuid4().hex}"
    tombstone = Tombstone(Changed, id=1, region="eu")
    group, ids = HandlerGroup("users.eu"), list[str]()

    @group.handler(event="changed")
    async def handle(event: Event) -> None:
        ids.append(event.id)

    listener = EventListener(url, group="g")
    listener.add_handler_group(group)
    async with listener, EventEmitter(url) as emitter:
        await asyncio.gather(emitter.emit(tombstone), emitter.emit(tombstone))
        await eventually(lambda: len(ids) == 2, "both", 5.0)
    assert len(set(ids)) == 1
    assert repr(tombstone) == "Tombstone(Changed, id=1, region='eu')"


class Keyless(EventBase):
    __topic__ = "t"
    __event_type__ = "e"
    id: int


def test_what_can_be_no_tombstone_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="has no __key__"):
        Tombstone(Keyless, id=1)
    with pytest.raises(InvalidEvent, match="takes a class of events"):
        Tombstone(User)  # type: ignore[arg-type]
    with pytest.raises(InvalidEvent, match="has no field nick"):
        Tombstone(Changed, id=1, nick="x")


@pytest.mark.parametrize("fields", [{"region": "eu"}, {"id": 1}, {"id": None, "region": "eu"}])
async def test_a_tombstone_without_its_key_or_topic_is_refused(fields: dict[str, object]) -> None:
    async with EventEmitter(f"memory://{uuid4().hex}") as emitter:
        with pytest.raises(InvalidEvent, match=r"Changed"):
            await emitter.emit(Tombstone(Changed, **fields))
