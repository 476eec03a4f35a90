"""What `Producer.send` promises about messages that send a delivery on."""

from collections.abc import Sequence

from dispytch.messages import Delivery, Message
from dispytch.testing.transport.scene import Scene, unique
from dispytch.testing.transport.sending import BODIES, HEADERS, KEYS
from dispytch.transport import Backend


class RepeatingContract(Scene):
    """`Message.repeats`: a dead letter, a retry or a replay is what it was."""

    async def test_a_repeated_delivery_stays_the_same_byte_for_byte(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Value, key and headers survive being sent on, twice; so does each name's order."""
        messages = [Message(topic, body, key, HEADERS) for body in BODIES.values() for key in KEYS]
        first = await self._sent(backend, group, topic, messages)
        second = await self._repeated(backend, group, first)
        third = await self._repeated(backend, group, second)
        for before, after in zip(first, third, strict=True):
            assert after.value == before.value, f"{after.topic}: another value"
            assert after.key == before.key
            assert sorted(after.headers) == sorted(before.headers)

    async def test_a_repeated_delivery_can_get_more_headers(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """The headers of the message count: more, fewer or others than in what it repeats."""
        (delivery,) = await self._sent(
            backend, group, topic, [Message(topic, b"{}", b"key", HEADERS)]
        )
        changed = [(name, value) for name, value in delivery.headers if name != "x-empty"]
        changed = [(name, b"other" if name == "x-binary" else value) for name, value in changed]
        changed.append(("x-more", b"\x00more"))
        other = unique("topic")
        message = Message(other, b"[]", b"other", changed, repeats=delivery)
        (repeated,) = await self._sent(backend, group, other, [message])
        assert (repeated.value, repeated.key) == (b"[]", b"other")
        assert sorted(repeated.headers) == sorted(changed)

    async def _repeated(
        self, backend: Backend, group: str, deliveries: Sequence[Delivery]
    ) -> list[Delivery]:
        topic = unique("topic")
        messages = [Message(topic, d.value, d.key, d.headers, repeats=d) for d in deliveries]
        return await self._sent(backend, group, topic, messages)

    async def _sent(
        self, backend: Backend, group: str, topic: str, messages: Sequence[Message]
    ) -> list[Delivery]:
        """What arrives of these messages, in their order."""
        async with self.reading(backend, group, topic) as reader:
            for message in messages:
                await self.send(backend, [message])
            await self.received(reader, len(messages))
        order = {(message.value, message.key): place for place, message in enumerate(messages)}
        return sorted(reader.deliveries, key=lambda one: order[one.value, one.key])
