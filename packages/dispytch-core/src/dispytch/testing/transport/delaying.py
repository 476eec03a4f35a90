"""What `Producer.send` promises about delays."""

import asyncio
from collections.abc import Sequence

import pytest

from dispytch.exceptions import ConfigurationError
from dispytch.messages import Delivery, Message
from dispytch.testing.transport.reader import assert_exactly, assert_in_order
from dispytch.testing.transport.scene import Scene, numbered, some_keys, unique
from dispytch.testing.transport.sending import HEADERS
from dispytch.transport import Backend


class DelayContract(Scene):
    """Never early, never lost: what ``delay`` means where `Features` declare it."""

    async def test_a_delay_that_the_broker_does_not_have_is_refused(
        self, backend: Backend, topic: str
    ) -> None:
        """Without the feature ``delay``, a send with one is an error, and sends nothing."""
        if backend.features.delay:
            pytest.skip("the broker has delays")
        with pytest.raises(ConfigurationError, match="delay"):
            await self._send_later(backend, [Message(topic, b"0", b"key")], 1.0)

    async def test_a_delay_is_never_cut_short(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Each message arrives, once, and no sooner than its own delay after its send.

        A short delay does not wait for a long one that was sent before, and a message without a
        delay waits for neither.
        """
        _needs_delays(backend)
        now = asyncio.get_running_loop().time
        arrived: dict[bytes, float] = {}
        earliest: dict[bytes, float] = {}

        def note(delivery: Delivery) -> bool:
            arrived.setdefault(delivery.value or b"", now())
            return True

        async with self.reading(backend, group, topic, acks=note) as reader:
            for name, steps in ((b"long", 6), (b"short", 1), (b"middle", 3), (b"none", 0)):
                earliest[name] = now() + steps * self._step
                delay = steps * self._step if steps else None
                await self._send_later(backend, [Message(topic, name, b"key")], delay)
            await self.received(reader, 4)
            await asyncio.sleep(self.quiet)
        assert_exactly(reader.values, list(earliest))
        for name, due in earliest.items():
            assert arrived[name] >= due, f"{name!r} came {due - arrived[name]:.3f} s too early"
        assert reader.values.index(b"none") < reader.values.index(b"middle")
        assert reader.values.index(b"short") < reader.values.index(b"long")

    async def test_equal_delays_keep_the_order_of_each_key(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Messages of one key and one delay arrive in the order in which they were sent."""
        _needs_delays(backend)
        messages = numbered(topic, some_keys(5), 40)
        async with self.reading(backend, group, topic) as reader:
            for start in range(0, len(messages), 20):
                await self._send_later(backend, messages[start : start + 20], self._step)
            await self.received(reader, len(messages))
        assert_exactly(reader.values, [message.value for message in messages])
        assert_in_order(reader.deliveries)

    async def test_a_delayed_message_arrives_as_it_was_sent(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Topic, value, key and headers are those of the message."""
        _needs_delays(backend)
        body, key = bytes(range(256)), "schlüssel".encode()
        async with self.reading(backend, group, topic) as reader:
            await self._send_later(backend, [Message(topic, body, key, HEADERS)], self._step)
            await self.received(reader, 1)
        (delivery,) = reader.deliveries
        assert (delivery.topic, delivery.value, delivery.key) == (topic, body, key)
        names = {name for name, _ in HEADERS}
        arrived = [header for header in delivery.headers if header[0] in names]
        assert sorted(arrived) == sorted(HEADERS)

    async def test_what_falls_due_without_a_consumer_waits_for_one(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """The broker keeps it: whoever sent it has gone, and nobody reads when it is due."""
        _needs_delays(backend)
        messages = numbered(topic, some_keys(3), 5)
        await self.prepare(backend, group, topic)
        await self._send_later(backend, messages, self._step)
        await asyncio.sleep(2 * self._step)
        async with self.reading(backend, group, topic) as reader:
            received = await self.all_of(backend, topic, some_keys(3), reader)
        assert_exactly(received, [message.value for message in messages])

    async def test_a_consumer_that_ends_takes_no_delayed_message_along(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """What is delayed while one consumer reads arrives at the next one."""
        _needs_delays(backend)
        async with self.reading(backend, group, topic):
            await self._send_later(backend, [Message(topic, b"0", b"key")], 2 * self._step)
        async with self.reading(backend, group, topic) as second:
            await self.received(second, 1)

    async def test_every_group_gets_a_delayed_message(self, backend: Backend, topic: str) -> None:
        """A delay changes nothing but the time."""
        _needs_delays(backend)
        async with (
            self.reading(backend, unique("group"), topic) as one,
            self.reading(backend, unique("group"), topic) as other,
        ):
            await self._send_later(backend, [Message(topic, b"0", b"key")], self._step)
            await self.received(one, 1)
            await self.received(other, 1)

    @property
    def _step(self) -> float:
        return max(self.quiet, 0.1)

    async def _send_later(
        self, backend: Backend, messages: Sequence[Message], delay: float | None
    ) -> None:
        async with backend.producer() as producer:
            await producer.send(messages, delay=delay)


def _needs_delays(backend: Backend) -> None:
    if not backend.features.delay:
        pytest.skip("the broker keeps no message back")
