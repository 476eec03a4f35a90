"""The promise that one bad event harms only itself."""

import asyncio
from typing import Final

from dispytch import DeadLetters, Event, HandlerGroup, RetryPolicy
from dispytch.messages import Headers, Message
from dispytch.testing.conformance.events import Counted, Ledger, counted
from dispytch.testing.conformance.setting import Setting, noting
from dispytch.transport import Backend

JSON: Final = ("content-type", b"application/json")

POISON: Final[dict[str, tuple[bytes, Headers]]] = {
    "no JSON": (b"\x00\xff not JSON \xfe", (JSON,)),
    "no such body": (b'{"topic": "somewhere"}', (JSON,)),
    "no UTF-8": (b'"\xc3\x28"', (JSON, ("x-text", "gr\u00fc\u00dfe-\u4e16\u754c".encode()))),
    "no such codec": (b"\x82\xa3key", (("content-type", b"application/x-strange"),)),
    "no such envelope": (b"{", (("content-type", b"application/cloudevents+json"),)),
    "binary headers": (
        bytes(range(256)),
        (JSON, ("x-binary", bytes(range(256))), ("x-empty", b"")),
    ),
    "infinite": (
        b'{"specversion":"1.0","id":"1","source":"/","type":"counted","dataversion":1e999}',
        (("content-type", b"application/cloudevents+json"),),
    ),
    "deep": (b"[" * 100_000, (JSON,)),
    "many faults": (b"[" + b"{}," * 300_000 + b"{}]", (JSON,)),
    "huge number": (b'{"number":%s}' % (b"9" * 10_000), (JSON,)),
    "lone surrogate": (b'{"topic":"\\ud800"}', (JSON,)),
    "large": (b"\xff" * 900_000, (JSON,)),
}
"""Values and headers that no handler can be given."""


class OneBadEvent(Setting):
    """Poison, failing keys and stuck handlers: the others are handled, and nothing spins."""

    async def test_poison_is_put_aside(self, backend: Backend, topic: str, group: str) -> None:
        """Bytes that nobody can read become dead letters, byte for byte, and stop nothing."""
        ledger, events = Ledger(), counted(topic, keys=10, each=10)
        poison = [
            Message(topic, value, name.encode(), headers)
            for name, (value, headers) in POISON.items()
        ]
        every_type = HandlerGroup(default_topic=topic)
        every_type.handler()(noting(ledger))
        listener = self.service(backend, group, topic, every_type)
        async with listener:
            await self.emit(backend, events[:50])
            await self.send(backend, poison)
            await self.emit(backend, events[50:])
            await self.handled(ledger, len(events))
            await self.until(
                lambda: listener.outcomes.dead_lettered == len(poison), "a letter for each"
            )
        ledger.assert_handled(events)
        ledger.assert_in_order()
        letters = await DeadLetters(backend, topic=topic, group=group).read()
        kept = {letter.key: letter for letter in letters}
        assert len(letters) == len(poison)
        for message in poison:
            letter = kept[message.key]
            assert letter.value == message.value
            assert set(message.headers) <= set(letter.headers)
            assert letter.reason in ("undecodable", "invalid")
            assert letter.topic == topic

    async def test_a_failing_key_stops_no_other(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Each of its events has its attempts and no more, and is a dead letter then."""
        ledger, events = Ledger(), counted(topic, keys=20, each=5)

        async def handle(event: Event[Counted]) -> None:
            with ledger.run(event):
                if event.body.key == "key-7":
                    raise ValueError("this key always fails")

        retry = RetryPolicy(attempts=3, delay=0.01)
        async with self.service(backend, group, topic, handle, retry=retry) as listener:
            await self.emit(backend, events)
            await self.handled(ledger, 95)
            await self.until(lambda: listener.outcomes.dead_lettered == 5, "five dead letters")
            await asyncio.sleep(self.quiet)
        ledger.assert_handled(event for event in events if event.key != "key-7")
        ledger.assert_in_order()
        assert [ledger.attempts("key-7", number) for number in range(5)] == [[1, 2, 3]] * 5

    async def test_a_stuck_handler_is_timed_out(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """With ``timeout``, it is cut off, counts as failed, and its key goes on."""
        ledger, events = Ledger(), counted(topic, keys=5, each=4)
        timed = HandlerGroup(default_topic=topic)

        @timed.handler(timeout=0.2)
        async def handle(event: Event[Counted]) -> None:
            with ledger.run(event):
                if (event.body.key, event.body.number) == ("key-3", 1):
                    await asyncio.sleep(2 * self.patience)

        listener = self.service(backend, group, topic, timed)
        async with listener:
            await self.emit(backend, events)
            await self.handled(ledger, len(events) - 1)
            await self.until(lambda: listener.outcomes.dead_lettered == 1, "a dead letter")
        ledger.assert_handled(e for e in events if (e.key, e.number) != ("key-3", 1))
        ledger.assert_in_order()
