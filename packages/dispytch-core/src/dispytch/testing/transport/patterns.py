"""What a backend with the feature ``wildcards`` promises about patterns."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from dispytch.messages import Message
from dispytch.testing.transport.reader import Choice, Reader, everything, nothing, reading
from dispytch.testing.transport.scene import Scene, some_keys
from dispytch.topics import TopicPattern
from dispytch.transport import Backend, Subscription, Topology


class PatternContract(Scene):
    """Every topic that matches, those that come later too, and each message once."""

    async def test_topics_that_there_are_and_those_that_come_later(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """``wildcards``: deliveries come under the names of their own topics."""
        async with self.reading_patterns(backend, group, f"{topic}.*") as reader:
            for number in range(3):
                name = f"{topic}.{number}"
                await self.send(backend, [Message(name, b"%d" % number, b"key")])
                await self._has(reader, {f"{topic}.{each}": 1 for each in range(number + 1)})

    async def test_what_was_sent_before_is_received_where_there_is_history(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """``history``: a pattern is no exception."""
        if not backend.features.history:
            pytest.skip("the broker keeps no history")
        await self.send(backend, [Message(f"{topic}.before", b"", b"key")])
        async with self.reading_patterns(backend, group, f"{topic}.#") as reader:
            await self._has(reader, {f"{topic}.before": 1})

    async def test_each_message_comes_once_however_much_matches_it(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Patterns may overlap, one cover another, and topics may be named beside them."""
        patterns = [f"{topic}.#", f"{topic}.*.x", f"{topic}.a.*", f"{topic}.a.*.*"]
        named = [f"{topic}.a.x", f"{topic}.a"]
        sent = [topic, *named, f"{topic}.a.y", f"{topic}.b.x", f"{topic}.a.b.c", f"{topic}.b.b.b"]
        async with self.reading_patterns(backend, group, *patterns, topics=named) as reader:
            await self.send(backend, [Message(name, b"", b"key") for name in sent])
            await self._has(reader, dict.fromkeys(sent, 1))
            await self.send(backend, [Message(name, b"again", b"key") for name in sent])
            await self._has(reader, dict.fromkeys(sent, 2))

    async def test_patterns_that_cover_no_more_than_a_part_of_each_other(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """A topic that both match is received once, and what only one matches as well."""
        sent = [f"{topic}.a.x", f"{topic}.a.y", f"{topic}.b.x"]
        patterns = [f"{topic}.a.*", f"{topic}.*.x"]
        async with self.reading_patterns(backend, group, *patterns) as reader:
            await self.send(backend, [Message(name, b"", b"key") for name in sent])
            await self._has(reader, dict.fromkeys(sent, 1))

    async def test_the_order_of_each_topic_and_key_is_kept(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Streams of topics that a pattern matches are as ordered as any."""
        names = [topic, f"{topic}.a", f"{topic}.a.b"]
        async with self.reading_patterns(backend, group, f"{topic}.#", max_in_flight=50) as reader:
            for number in range(40):
                await self.send(
                    backend,
                    [Message(name, b"%d" % number, key) for name in names for key in some_keys(3)],
                )
            await self._has(reader, dict.fromkeys(names, 120))
        for name in names:
            for key in some_keys(3):
                found = [
                    int(one.value or b"")
                    for one in reader.deliveries
                    if (one.topic, one.key) == (name, key)
                ]
                assert found == list(range(40))

    async def test_what_is_unsettled_in_a_topic_of_a_pattern_comes_again(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """A topic that a pattern found later is the group's from then on."""
        async with self.reading_patterns(backend, group, f"{topic}.*", acks=nothing) as reader:
            await self.send(backend, [Message(f"{topic}.x", b"", b"key")])
            await self._has(reader, {f"{topic}.x": 1})
        async with self.reading_patterns(backend, group, f"{topic}.*") as reader:
            await self._has(reader, {f"{topic}.x": 1})

    async def test_groups_get_what_their_own_patterns_match(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Each group gets every message that it asks for."""
        async with (
            self.reading_patterns(backend, group, f"{topic}.*") as one,
            self.reading_patterns(backend, f"{group}-other", f"{topic}.#") as other,
        ):
            sent = [f"{topic}.a", f"{topic}.a.b"]
            await self.send(backend, [Message(name, b"", b"key") for name in sent])
            await self._has(one, {f"{topic}.a": 1})
            await self._has(other, dict.fromkeys(sent, 1))

    @asynccontextmanager
    async def reading_patterns(
        self,
        backend: Backend,
        group: str,
        *texts: str,
        topics: list[str] | None = None,
        acks: Choice = everything,
        max_in_flight: int = 1000,
    ) -> AsyncGenerator[Reader, None]:
        """A reader of these patterns, and of these topics, as a member of the group."""
        if not backend.features.wildcards:
            pytest.skip("the backend has no wildcards")
        found = [TopicPattern.of(text) for text in texts]
        patterns = tuple(pattern for pattern in found if pattern is not None)
        named = tuple(topics or ())
        await backend.prepare(Topology(topics=named, group=group, patterns=patterns))
        subscription = Subscription(
            group=group,
            topics=named,
            patterns=patterns,
            max_in_flight=max_in_flight,
            drain_timeout=self.patience,
        )
        async with reading(backend, subscription, acks=acks, patience=self.patience) as reader:
            yield reader

    async def _has(self, reader: Reader, topics: dict[str, int]) -> None:
        """Wait until so many of each topic have come, and see that it is no more."""

        def received() -> Counter[str]:
            return Counter(one.topic for one in reader.deliveries if one.topic in topics)

        await self.until(
            lambda: received().total() >= sum(topics.values()), f"{topics}, not {received()}"
        )
        assert received() == topics
