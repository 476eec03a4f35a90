"""What `Backend` and `Producer` promise."""

import asyncio
from collections.abc import Mapping

import pytest

from dispytch.exceptions import SendError, Unroutable
from dispytch.messages import Headers, Message
from dispytch.testing.transport.reader import assert_exactly, assert_in_order
from dispytch.testing.transport.scene import END, Scene, numbered, some_keys, unique
from dispytch.transport import Backend, Producer, Topology

BODIES: Mapping[str, bytes | None] = {
    "null": None,
    "empty": b"",
    "text": "Grüße, 世界 🌍".encode(),
    "binary": bytes(range(256)),
    "large": b"0123456789" * 90_000,
}
KEYS = (None, b"plain", "schlüssel-世界".encode(), b"\x00\xff\xfe")
HEADERS: Headers = (
    ("content-type", b"application/json"),
    ("ce_type", "bestellt-世界".encode()),
    ("x-binary", bytes(range(256))),
    ("x-empty", b""),
    ("x-null", None),
)


class SendingContract(Scene):
    """Messages arrive as they were sent, in order, each once."""

    async def test_ping_returns(self, backend: Backend) -> None:
        """`Backend.ping`: return if the broker answers."""
        async with asyncio.timeout(self.patience):
            await backend.ping()

    async def test_preparing_again_changes_nothing(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Backend.prepare` may be called again; it changes nothing that exists."""
        await self.prepare(backend, group, topic)
        messages = numbered(topic, some_keys(3), 3)
        await self.send(backend, messages)
        await self.prepare(backend, group, topic)
        async with self.reading(backend, group, topic) as reader:
            received = await self.all_of(backend, topic, some_keys(3), reader)
        assert_exactly(received, [message.value for message in messages])

    async def test_what_nobody_takes_yet_is_kept_refused_or_dropped_as_said(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Features.unroutable`: what becomes of messages to a topic without any group.

        What is kept is handed to the first group, in order, and before what is sent later.
        """
        said = backend.features.unroutable
        if said is None:
            pytest.skip("the backend does not say what becomes of what nobody takes yet")
        await backend.prepare(Topology(topics=(topic,)))
        messages = numbered(topic, some_keys(3), 8)
        early, late = messages[:15], messages[15:]
        async with backend.producer() as producer:
            if said == "error":
                with pytest.raises(SendError) as refused:
                    await producer.send(early)
                assert set(map(type, refused.value.failures.values())) == {Unroutable}
            else:
                await producer.send(early[:1])
                await producer.send(early[1:])
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, late)
            received = await self.all_of(backend, topic, some_keys(3), reader)
            expected = [*early, *late] if said == "keep" else late
            assert_exactly(received, [message.value for message in expected])
            assert_in_order([one for one in reader.deliveries if one.value != END])

    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
    async def test_a_body_arrives_byte_for_byte(
        self, backend: Backend, topic: str, group: str, body: bytes | None
    ) -> None:
        """A value travels as it is, however it looks and up to 900 kB; a null one stays null."""
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, [Message(topic, body, b"key")])
            await self.received(reader, 1)
        assert reader.values[0] == body, f"{(reader.values[0] or b'')[:60]!r}"
        assert reader.deliveries[0].topic == topic

    async def test_a_key_arrives_byte_for_byte(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """A key travels as it is, and so does its absence."""
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, [Message(topic, repr(key).encode(), key) for key in KEYS])
            await self.received(reader, len(KEYS))
        arrived = {delivery.value: delivery.key for delivery in reader.deliveries}
        assert arrived == {repr(key).encode(): key for key in KEYS}

    async def test_headers_arrive_byte_for_byte(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Headers travel as raw values, whatever is in them."""
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, [Message(topic, b"{}", b"key", HEADERS)])
            await self.received(reader, 1)
        names = {name for name, _ in HEADERS}
        arrived = [header for header in reader.deliveries[0].headers if header[0] in names]
        assert sorted(arrived) == sorted(HEADERS)

    async def test_headers_of_one_name_all_arrive(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """A header's name may occur more than once; the order is kept."""
        if not self.repeats_headers:
            pytest.skip("the broker's protocol has one header of a name")
        headers = (("x-hop", b"first"), ("x-hop", b"second"), ("x-hop", b"first"))
        async with self.reading(backend, group, topic) as reader:
            await self.send(backend, [Message(topic, b"{}", b"key", headers)])
            await self.received(reader, 1)
        arrived = [header for header in reader.deliveries[0].headers if header[0] == "x-hop"]
        assert arrived == list(headers)

    async def test_a_batch_keeps_the_order_of_each_key(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Messages of one topic and key reach the broker in the order given."""
        messages = numbered(topic, some_keys(20), 50)
        async with self.reading(backend, group, topic) as reader:
            async with backend.producer() as producer:
                await producer.send(messages)
            received = await self.all_of(backend, topic, some_keys(20), reader)
        assert_exactly(received, [message.value for message in messages])
        assert_in_order(reader.deliveries)

    async def test_calls_one_after_the_other_keep_the_order(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """So do those of two calls when the second starts after the first has returned.

        Other tasks send at the same time.
        """
        messages = numbered(topic, some_keys(20), 10)

        async def send_one_by_one(producer: Producer, key: bytes) -> None:
            for message in messages:
                if message.key == key:
                    await producer.send([message])

        async with self.reading(backend, group, topic) as reader:
            async with backend.producer() as producer:
                await asyncio.gather(*(send_one_by_one(producer, k) for k in some_keys(20)))
            received = await self.all_of(backend, topic, some_keys(20), reader)
        assert_exactly(received, [message.value for message in messages])
        assert_in_order(reader.deliveries)

    async def test_5000_messages_over_50_topics_stay_apart(
        self, backend: Backend, group: str
    ) -> None:
        """Topics don't leak into each other; nothing is lost, nothing comes twice."""
        topics = [unique("topic") for _ in range(50)]
        messages = [
            Message(topic, b"%06d %s" % (number, topic.encode()), b"key-%d" % (number % 7))
            for number in range(100)
            for topic in topics
        ]
        async with (
            self.reading(backend, group, *topics) as every,
            self.reading(backend, unique("group"), topics[0]) as single,
        ):
            await self.send(backend, messages)
            await self.received(every, len(messages))
            await self.received(single, 100)
        assert_exactly(every.values, [message.value for message in messages])
        assert_exactly(single.values, [m.value for m in messages if m.topic == topics[0]])
        assert all((d.value or b"").endswith(d.topic.encode()) for d in every.deliveries)
        assert_in_order(every.deliveries)

    async def test_a_send_error_names_what_is_not_confirmed(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`SendError` names each message that is not confirmed; the others are durable."""
        refused = self.unsendable(topic)
        if refused is None:
            pytest.skip("the broker refuses no message")
        async with self.reading(backend, group, topic) as reader:
            with pytest.raises(SendError) as caught:
                await self.send(
                    backend, [Message(topic, b"0", b"key"), refused, Message(topic, b"2", b"key")]
                )
            received = await self.all_of(backend, topic, [b"key"], reader)
        assert list(caught.value.failures) == [1]
        assert caught.value.total == 3
        assert_exactly(received, [b"0", b"2"])

    async def test_leaving_a_producer_waits_for_what_is_being_sent(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Backend.producer`: leaving the context waits for what is being sent."""
        messages = numbered(topic, some_keys(5), 20)
        async with self.reading(backend, group, topic) as reader:
            async with backend.producer() as producer:
                sending = asyncio.create_task(producer.send(messages))
                await asyncio.sleep(0)
            async with asyncio.timeout(self.patience):
                await sending
            received = await self.all_of(backend, topic, some_keys(5), reader)
        assert_exactly(received, [message.value for message in messages])
