"""Dead letters of a group that signs: by reference, edited, of others, and without the key."""

from typing import Any
from uuid import uuid4

import pytest

from dispytch import DeadLetter, DeadLetters, Event, EventListener, HandlerGroup
from dispytch.dead_letters import BODY_POSITION
from dispytch.exceptions import MessageTooLarge, SendError
from dispytch.memory import MemoryBackend
from dispytch.memory.producer import MemoryProducer
from dispytch.messages import Message
from dispytch.testing.transport.reader import eventually

KEY = "0123456789abcdef"
DEAD = "orders.billing.dead"


class Billing:
    """A listener that signs, whose handler fails until it is told otherwise."""

    def __init__(self, group: str = "billing", key: str | None = KEY) -> None:
        self.backend = MemoryBackend(uuid4().hex, partitions=1)
        self.broken = True
        self.seen: list[tuple[bytes | None, Any]] = []
        self.group, self.handlers = group, HandlerGroup("orders")

        @self.handlers.handler(event=None)
        async def bill(event: Event) -> None:
            self.seen.append((event.delivery.value, list(event.delivery.headers)))
            if self.broken:
                raise ValueError("closed")

        self.listener = self.listening(key)
        self.dead = self.letters(KEY)

    def listening(self, key: str | None) -> EventListener:
        listener = EventListener(self.backend, group=self.group, signing_key=key)
        listener.add_handler_group(self.handlers)
        return listener

    def letters(self, key: str | None) -> DeadLetters:
        return DeadLetters(self.backend, topic="orders", group="billing", signing_key=key)

    async def send(self, *messages: Message) -> None:
        async with self.backend.producer() as producer:
            await producer.send(messages)

    async def failed(self, *values: bytes) -> None:
        """Have these fail, and be dead letters."""
        await self.send(*(Message("orders", value, b"k", [("a", b"1")]) for value in values))
        outcomes = self.listener.outcomes
        await eventually(lambda: outcomes.dead_lettered == len(values), "letters", 5)

    async def handled(self, count: int) -> None:
        await eventually(lambda: self.listener.outcomes.handled == count, "handled", 5)


async def test_an_edited_letter_is_signed_as_it_was_edited() -> None:
    billing = Billing()
    async with billing.listener:
        await billing.failed(b"1")
        billing.broken = False

        def edit(letter: DeadLetter) -> Message:
            return Message("", b"2", letter.key, [("dispytch-signature", b"mine")])

        assert await billing.dead.replay(edit=edit) == 1
        await billing.handled(1)
    assert billing.seen[1:] == [(b"2", [("dispytch-signature", b"mine")])]


async def test_without_the_key_signed_letters_are_left_as_they_are() -> None:
    billing = Billing()
    async with billing.listener:
        await billing.failed(b"1", b"2")
        billing.broken = False
        replayed = await billing.letters(None).replay()
        assert (replayed, len(replayed.left)) == (0, 2)
        assert all("signing_key" in why for why in replayed.left.values())
        # It has put them back, with its mark: they are as valid as before.
        assert [letter.doubt for letter in await billing.dead.read()] == [None, None]
        assert await billing.dead.replay() == 2
        await billing.handled(2)


async def test_letters_from_before_there_was_a_key_are_replayed_when_they_are_trusted() -> None:
    billing = Billing(key=None)
    async with billing.listener:
        await billing.failed(b"1")
    (letter,) = await billing.dead.read()
    assert "no signature" in str(letter.doubt)
    replayed = await billing.dead.replay()
    assert (replayed, list(replayed.left)) == (0, [letter.id])
    (letter,) = await billing.dead.read()
    assert await billing.dead.replay(ids=[letter.id], trust_unsigned=True) == 1
    billing.broken = False
    billing.listener = billing.listening(KEY)
    async with billing.listener:
        await billing.handled(1)
    assert [value for value, _ in billing.seen] == [b"1", b"1"]


async def test_the_letter_of_another_group_or_topic_is_not_taken() -> None:
    other = Billing("shipping")
    billing = Billing()
    async with other.listener:
        await other.failed(b"1")
    shipping = DeadLetters(other.backend, topic="orders", group="shipping", signing_key=KEY)
    (letter,) = await shipping.read()
    assert letter.doubt is None
    async with billing.listener:
        moved = letter.delivery
        retry = Message("billing.retry", moved.value, moved.key, moved.headers)
        await billing.send(Message(DEAD, moved.value, moved.key, moved.headers), retry)
        await eventually(lambda: billing.listener.outcomes.dead_lettered == 1, "a letter", 5)
        replayed = await billing.dead.replay()
        assert (replayed, len(replayed.left)) == (0, 1)
    assert billing.seen == []


async def test_a_letter_by_reference_is_signed_and_its_place_cannot_be_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send = MemoryProducer.send

    async def narrow(producer: Any, messages: Any, *, delay: float | None = None) -> None:
        for message in messages:
            if message.topic == DEAD and len(message.value or b"") > 100:
                raise SendError({0: MessageTooLarge("too large")}, 1)
        await send(producer, messages, delay=delay)

    monkeypatch.setattr(MemoryProducer, "send", narrow)
    billing = Billing()
    async with billing.listener:
        await billing.failed(b"1" * 200)
        (letter,) = await billing.dead.read()
        assert (letter.by_reference, letter.doubt, letter.value) == (True, None, b"1" * 200)
        elsewhere = [
            (name, b"7" if name == BODY_POSITION else value)
            for name, value in letter.delivery.headers
        ]
        await billing.send(Message(DEAD, None, letter.delivery.key, elsewhere))
        billing.broken = False
        replayed = await billing.dead.replay()
        assert (replayed, len(replayed.left)) == (1, 1)
        await billing.handled(1)
    assert [value for value, _ in billing.seen] == [b"1" * 200] * 2
