"""Deliveries that the driver could not decode."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from dispytch import Batch, DeadLetterTopic, Event, EventListener, HandlerGroup
from dispytch.dead_letters import FailurePolicy
from dispytch.exceptions import EventHalted
from dispytch.memory import MemoryBackend
from dispytch.memory.consumer import MemoryConsumer
from dispytch.messages import Delivery, Message, Undecodable
from dispytch.replay import DeadLetters
from dispytch.testing.transport.reader import eventually

REASON = "a header's name is not UTF-8"


@pytest.fixture(autouse=True)
def _driver_that_cannot_decode_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has what says ``bad`` on a topic ``orders`` come as a driver hands it out that is lost."""
    receive = MemoryConsumer.receive

    async def misread(self: MemoryConsumer) -> Sequence[Delivery]:
        return [_misread(one) for one in await receive(self)]

    monkeypatch.setattr(MemoryConsumer, "receive", misread)


def _misread(one: Delivery) -> Delivery:
    if one.topic != "orders" or one.value not in (b"bad", b"half bad"):
        return one
    value = None if one.value == b"bad" else one.value
    return Undecodable(
        one.topic, value, one.key, one.headers, one.lease, one.position, reason=REASON
    )


def _backend() -> MemoryBackend:
    return MemoryBackend(uuid4().hex, partitions=1)


async def _send(backend: MemoryBackend, *values: bytes) -> None:
    async with backend.producer() as producer:
        await producer.send([Message("orders", value, b"key", [("h", b"1")]) for value in values])


def _listener(
    backend: MemoryBackend, policy: FailurePolicy, *, batches: bool = False
) -> tuple[EventListener, list[object]]:
    seen: list[object] = []
    group = HandlerGroup("orders")

    async def one(event: Event) -> None:
        seen.append(event.body)

    async def many(events: list[Event]) -> None:
        seen.extend(event.body for event in events)

    if batches:
        group.handler(event=None, batch=Batch(size=3, wait=0.01))(many)
    else:
        group.handler(event=None)(one)
    listener = EventListener(backend, group="billing", dead_letter=policy)
    listener.add_handler_group(group)
    return listener, seen


@pytest.mark.parametrize("batches", [False, True])
async def test_what_the_driver_could_not_decode_is_given_up_and_settled(batches: bool) -> None:
    backend = _backend()
    await _send(backend, b"1", b"bad", b"2")
    listener, seen = _listener(backend, DeadLetterTopic(), batches=batches)
    async with listener:
        await eventually(
            lambda: listener.outcomes.dead_lettered == 1 and len(seen) == 2, "all three", 5.0
        )
        assert (await listener.health()).in_flight == 0
    assert seen == [1, 2]
    (letter,) = await DeadLetters(backend, topic="orders", group="billing").read()
    assert (letter.reason, letter.topic, letter.key) == ("undecodable", "orders", b"key")
    assert REASON in letter.error


async def test_what_could_be_read_of_it_is_in_its_letter() -> None:
    backend = _backend()
    await _send(backend, b"half bad")
    listener, _ = _listener(backend, DeadLetterTopic())
    async with listener:
        await eventually(lambda: listener.outcomes.dead_lettered == 1, "a dead letter", 5.0)
    (letter,) = await DeadLetters(backend, topic="orders", group="billing").read()
    assert (letter.value, letter.key, letter.headers) == (b"half bad", b"key", [("h", b"1")])


async def test_it_is_dropped_where_the_policy_drops() -> None:
    backend = _backend()
    await _send(backend, b"bad", b"2")
    listener, seen = _listener(backend, "drop")
    async with listener:
        await eventually(lambda: bool(seen), "the event behind it", 5.0)
    assert (seen, listener.outcomes.dropped) == ([2], 1)


async def test_it_halts_the_listener_where_the_policy_halts() -> None:
    backend = _backend()
    await _send(backend, b"bad")
    listener, _ = _listener(backend, "halt")
    with pytest.raises(EventHalted, match=REASON):
        async with listener, asyncio.timeout(5):
            await listener.stopped()
