"""The promise that what a group has signed comes back valid, and nothing else is taken."""

import asyncio
from collections.abc import Sequence

import pytest

from dispytch import DeadLetters, Event, EventEmitter, HandlerGroup, RetryAfter, RetryPolicy
from dispytch.exceptions import RequestTimeout
from dispytch.messages import Header, Message
from dispytch.testing.conformance.events import Counted
from dispytch.testing.conformance.setting import Setting, needs
from dispytch.testing.conformance.tap import tapped
from dispytch.transport import Backend

KEY = b"the key of the kit, of 32 bytes."
FORMER = b"the key of the kit, until lately"

HEADERS: Sequence[Header] = (
    ("x-text", "gr\u00fc\u00dfe \U0001f30d".encode()),
    ("\u00fcber", b"1"),
    ("x-binary", bytes(range(256))),
    ("x-empty", b""),
    ("x-null", None),
    ("x-number", b"17"),
    ("twice", b"b"),
    ("twice", b"a"),
    ("content-type", b"application/json"),
    ("type", b"t"),
    ("message-id", b"m"),
    ("dispytch-due", b"forged"),
    ("dispytch-signature", b"forged"),
)
BODIES = (b"1", b"", None)


class Signed(Setting):
    """``signing_key``: whatever the broker does to a message on its way changes nothing of it."""

    @property
    def _headers(self) -> Sequence[Header]:
        return HEADERS if self.repeats_headers else [one for one in HEADERS if one[0] != "twice"]

    @pytest.mark.parametrize("value", BODIES, ids=["body", "empty", "null"])
    @pytest.mark.parametrize("key", [b"\xffkey", None], ids=["key", "no key"])
    async def test_what_is_signed_comes_back(
        self, backend: Backend, topic: str, group: str, key: bytes | None, value: bytes | None
    ) -> None:
        """For later attempts, as dead letters that were put back, and replayed from there."""
        # A broker may give an id to what has none.
        headers = [one for one in self._headers if key or one[0] != "message-id"]
        shop = _Shop(topic)
        key_to = {"signing_key": KEY, "retry": _delayed(2)}
        async with self.service(backend, group, topic, shop.handlers, **key_to) as listener:
            await self.send(backend, [Message(topic, value, key, headers)] * 2)
            await self.until(lambda: listener.outcomes.dead_lettered == 2, "two dead letters")
            assert sorted(event.attempt for event in shop.seen) == [1, 1, 2, 2, 3, 3]
            dead = DeadLetters(backend, topic=topic, group=group, signing_key=KEY)
            letters = await dead.read()
            assert [(one.reason, one.doubt) for one in letters] == [("failed", None)] * 2
            shop.open = True
            first, last = (one.id for one in letters)
            assert await dead.replay(ids=[last]) == 1
            await self.until(lambda: listener.outcomes.handled == 1, "the replayed event")
            replayed = await dead.replay(ids=[first])
            assert (replayed, replayed.left) == (1, {})
            await self.until(lambda: listener.outcomes.handled == 2, "the other one")
            assert await dead.read() == []
        assert {(event.delivery.key, event.delivery.value) for event in shop.seen} == {(key, value)}
        assert all(set(headers) <= set(event.delivery.headers) for event in shop.seen)

    async def test_what_is_not_signed_is_not_handled(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """A forged retry, a letter, and a retry that was signed and changed."""
        shop, back, keys = _Shop(topic), f"{group}.retry", {"signing_key": KEY}
        tap = tapped(backend)
        letter = Message(f"{topic}.{group}.dead", b"3", None, _forged(topic))
        async with self.service(tap, group, topic, shop.handlers, retry=_delayed(2), **keys) as it:
            await self.send(backend, [Message(topic, b"1", b"k", self._headers)])
            await self.until(lambda: it.outcomes.dead_lettered == 1, "a dead letter")
            assert len(shop.seen) == 3
            signed = next(one for one in tap.sent if one.topic == back)
            changed = Message(back, b"2", signed.key, signed.headers)
            await self.send(backend, [Message(back, b"2", None, _forged(topic)), changed, letter])
            await self.until(lambda: it.outcomes.dead_lettered == 3, "what was refused")
            assert len(shop.seen) == 3
            refused = DeadLetters(backend, group=group, signing_key=KEY)
            assert {one.reason for one in await refused.read()} == {"unsigned"}
            replayed = await refused.replay()
            assert (replayed, len(replayed.left)) == (0, 2)
            failed = DeadLetters(backend, topic=topic, group=group, signing_key=KEY)
            shop.open = True
            replayed = await failed.replay()
            assert (replayed, len(replayed.left)) == (1, 1)
            await self.until(lambda: it.outcomes.handled == 1, "the one that is the group's")
            await asyncio.sleep(self.quiet)
            assert len(shop.seen) == 4
            assert await refused.replay(trust_unsigned=True) == 2
            await self.until(lambda: it.outcomes.handled == 3, "what somebody has looked at")
        assert [event.delivery.value for event in shop.seen[4:]] == [b"2"] * 2

    async def test_a_key_is_changed_while_events_wait(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """What was signed with the former key is taken as long as that is named."""
        shop = _Shop(topic)
        dead = DeadLetters(backend, topic=topic, group=group, signing_key=[KEY, FORMER])
        old = {"signing_key": FORMER, "retry": _delayed(1)}
        async with self.service(backend, group, topic, shop.handlers, **old) as listener:
            await self.send(backend, [Message(topic, b"1", b"k", self._headers)])
            await self.until(lambda: listener.outcomes.dead_lettered == 1, "a dead letter")
        shop.open = True
        async with self.service(backend, group, topic, shop.handlers, signing_key=KEY) as listener:
            assert await dead.replay() == 1
            await self.until(lambda: listener.outcomes.handled == 1, "the replayed event")

    async def test_a_request_takes_signed_replies_alone(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Its requester has the key; without it in the listener, no reply is taken."""
        needs(backend.features.temporary, "there are no temporary subscriptions")
        asked = Counted(topic=topic, key="k", number=1)

        async def answer(event: Event[Counted]) -> int:
            return event.body.number

        def handlers() -> HandlerGroup:
            group = HandlerGroup(default_topic=topic)
            group.handler(event=None)(answer)
            return group

        async with EventEmitter(backend, signing_key=KEY) as emitter:
            async with self.service(backend, group, topic, handlers(), signing_key=[KEY, FORMER]):
                for _ in range(2):
                    answered = await emitter.request(asked, reply=int, timeout=self.patience)
                    assert answered == 1
            for keys in ({}, {"signing_key": FORMER}):
                async with self.service(backend, group, topic, handlers(), **keys) as listener:
                    with pytest.raises(RequestTimeout):
                        await emitter.request(asked, reply=int, timeout=2)
                    assert listener.outcomes.answered == 1


class _Shop:
    """A handler of whatever comes that fails as long as the shop is closed."""

    def __init__(self, topic: str) -> None:
        self.open = False
        self.seen: list[Event] = []
        self.handlers = HandlerGroup(default_topic=topic)
        self.handlers.handler(event=None)(self._handle)

    async def _handle(self, event: Event) -> None:
        self.seen.append(event)
        if not self.open:
            raise RetryAfter(0.05) if event.attempt == 1 else ValueError("closed")


def _forged(topic: str) -> Sequence[Header]:
    return [("dispytch-original-topic", topic.encode()), ("dispytch-signature", b"hmac-sha256=0")]


def _delayed(attempts: int) -> RetryPolicy:
    return RetryPolicy(attempts=attempts, delay=0.05, jitter=False, delayed=True)
