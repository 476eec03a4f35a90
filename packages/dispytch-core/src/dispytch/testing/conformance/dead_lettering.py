"""The promise that what cannot be handled is kept, and can be sent back."""

import asyncio

import pytest

from dispytch import DeadLetters, Event
from dispytch.exceptions import EventHalted
from dispytch.messages import Message
from dispytch.testing.conformance.events import EVENT_TYPE, Counted, Ledger, counted
from dispytch.testing.conformance.setting import Handler, Setting, noting
from dispytch.testing.conformance.tap import Tap, tapped
from dispytch.transport import Backend


class DeadLettering(Setting):
    """Confirmed before the source is settled, byte for byte, and replayed to whom it concerns."""

    async def test_a_dead_letter_says_what_happened(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Value, key and headers are those of the event; its own headers say why."""
        prefix = backend.features.attribute_prefixes[0]
        (event,) = counted(topic, keys=1, each=1)
        headers = (
            ("content-type", b"application/json"),
            (f"{prefix}specversion", b"1.0"),
            (f"{prefix}id", b"1"),
            (f"{prefix}source", b"/somewhere"),
            (f"{prefix}type", EVENT_TYPE.encode()),
            ("x-text", "gr\u00fc\u00dfe \U0001f30d".encode()),
            ("x-binary", bytes(range(256))),
            ("x-empty", b""),
        )
        value = event.model_dump_json(indent=3).encode()

        async with self.service(backend, group, topic, _fail) as listener:
            await self.send(backend, [Message(topic, value, b"key-0", headers)])
            await self.until(lambda: listener.outcomes.dead_lettered == 1, "a dead letter")
        letters = DeadLetters(backend, topic=topic, group=group)
        assert letters.topic == f"{topic}.{group}.dead"
        for _ in range(2):
            (letter,) = await letters.read()
            assert (letter.value, letter.key, letter.topic) == (value, b"key-0", topic)
            assert set(headers) <= set(letter.headers)
            assert (letter.reason, letter.attempts) == ("failed", 1)
            assert letter.error == "builtins.ValueError: out of stock"
            assert str(letter.handler).endswith("_fail")
            assert letter.failed_at is not None
            assert "out of stock" in str(letter.traceback)

    async def test_an_event_stays_unsettled_until_its_letter_is_confirmed(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """The letter is refused for a while: the event waits, health is red, the others flow."""
        tap, ledger, every = (
            _refusing(backend, topic, group),
            Ledger(),
            counted(topic, keys=20, each=5),
        )
        events = [one for one in every if one.key != "key-0" or one.number == 0]
        async with self.service(tap, group, topic, _fails_first(ledger)) as listener:
            await self.emit(tap, events)
            await self.until(lambda: tap.refused >= 2, "a second try")
            await self.handled(ledger, 95)
            assert [one.key for one in tap.unsettled] == [b"key-0"]
            assert listener.outcomes.dead_lettered == 0
            health = await listener.health()
            assert any(".dead" in problem for problem in health.problems), health
            tap.refuses = _nothing
            await self.until(lambda: listener.outcomes.dead_lettered == 1, "a dead letter")
            await self.until(lambda: not tap.unsettled, "the settlement")
            assert await listener.health()
        (letter,) = await DeadLetters(backend, topic=topic, group=group).read()
        assert letter.key == b"key-0"
        assert ledger.attempts("key-0", 0) == [1], "the handler was run again for the letter's sake"

    async def test_an_event_without_its_letter_comes_again(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """The service ends while the letter is refused: its successor gets the event."""
        tap, ledger = _refusing(backend, topic, group), Ledger()
        events = counted(topic, keys=10, each=3)
        async with self.service(tap, group, topic, _fails_first(ledger)):
            await self.emit(tap, events)
            await self.handled(ledger, 27)
            await self.until(lambda: tap.refused >= 1, "a refusal")
        again = Ledger()
        async with self.service(backend, group, topic, noting(again)):
            await self.until(lambda: again.handled.count(("key-0", 2)) == 1, "the last of them")
            await asyncio.sleep(self.quiet)
        assert [number for key, number in again.handled if key == "key-0"] == [0, 1, 2]
        assert len(again.handled) <= 3 + self.behind_unsettled(backend)
        assert await DeadLetters(backend, topic=topic, group=group).read() == []

    async def test_a_replay_reaches_the_failed_handler_alone(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Not the handlers that were done with it, and no other group."""
        events = counted(topic, keys=5, each=2)
        shop = _Shop()
        other = Ledger()
        async with (
            self.service(backend, f"{group}-other", topic, noting(other)),
            self.service(backend, group, topic, shop.ship, shop.bill) as listener,
        ):
            await self.emit(backend, events)
            await self.until(lambda: listener.outcomes.dead_lettered == 10, "ten dead letters")
            await self.handled(other, 10)
            shop.open = True
            letters = DeadLetters(backend, topic=topic, group=group)
            assert await letters.replay(select=lambda one: one.key == b"key-3") == 2
            await self.handled(shop.shipped, 2)
            assert set(shop.shipped.handled) == {("key-3", 0), ("key-3", 1)}
            assert len(await letters.read()) == 8
            assert await letters.replay() == 8
            await self.handled(shop.shipped, 10)
            await asyncio.sleep(self.quiet)
            assert await letters.read() == []
        for ledger in (shop.shipped, shop.billed, other):
            ledger.assert_handled(events)

    async def test_a_halted_event_is_still_there(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """``dead_letter="halt"``: the listener ends with the error; the event is for the next."""
        ledger, (event,) = Ledger(), counted(topic, keys=1, each=1)
        listener = self.service(backend, group, topic, _fail, dead_letter="halt")
        await self.prepare(backend, group, topic)
        await self.emit(backend, [event])
        with pytest.raises(EventHalted, match="out of stock"):
            async with listener, asyncio.timeout(self.patience):
                await listener.stopped()
        async with self.service(backend, group, topic, noting(ledger)):
            await self.handled(ledger, 1)
        ledger.assert_handled([event])


class _Shop:
    """A handler that fails as long as the shop is closed, and one that never does."""

    def __init__(self) -> None:
        self.open = False
        self.shipped = Ledger()
        self.billed = Ledger()

    async def ship(self, event: Event[Counted]) -> None:
        with self.shipped.run(event):
            if not self.open:
                raise ValueError("closed")

    async def bill(self, event: Event[Counted]) -> None:
        with self.billed.run(event):
            pass


async def _fail(event: Event[Counted]) -> None:
    raise ValueError("out of stock")


def _nothing(_: Message) -> bool:
    return False


def _fails_first(ledger: Ledger) -> Handler:
    """A handler that fails for the first of the keys."""

    async def handle(event: Event[Counted]) -> None:
        with ledger.run(event):
            if event.body.key == "key-0":
                raise ValueError("out of stock")

    return handle


def _refusing(backend: Backend, topic: str, group: str) -> Tap:
    """A backend that takes no dead letters of this topic and group."""
    tap = tapped(backend)
    tap.refuses = lambda message: message.topic == f"{topic}.{group}.dead"
    return tap
