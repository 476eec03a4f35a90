"""The promise that handlers may take patterns of topics."""

import asyncio
from collections import Counter, defaultdict
from typing import Annotated

from dispytch import DeadLetters, Event, HandlerGroup, TopicSegment
from dispytch.testing.conformance.events import Counted
from dispytch.testing.conformance.setting import Setting, needs
from dispytch.transport import Backend


class TopicPatterns(Setting):
    """Topics that are made later, segments as parameters, overlaps, order, and dead letters."""

    async def test_new_topics_reach_the_handler_with_their_segments(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Each topic is made by the first event in it."""
        needs(backend.features.wildcards, "the backend has no wildcards")
        seen: list[tuple[str, int, str]] = []
        handlers = HandlerGroup(prefix=f"{topic}.")

        @handlers.handler(topic="{user_id}.{action}")
        async def handle(
            event: Event[Counted],
            user_id: Annotated[int, TopicSegment(ge=0)],
            action: Annotated[str, TopicSegment()],
        ) -> None:
            assert event.segments == {"user_id": str(user_id), "action": action}
            seen.append((event.topic, user_id, action))

        expected = list[tuple[str, int, str]]()
        async with self.service(backend, group, topic, handlers):
            for user in range(3):
                made = [(f"{topic}.{user}.{did}", user, did) for did in ("created", "gone")]
                await self.emit(backend, [_event(name) for name, _, _ in made])
                expected += made
                await self.until(lambda: len(seen) >= len(expected), "events of new topics")  # noqa: B023
        assert Counter(seen) == Counter(expected)

    async def test_every_handler_that_matches_runs_once(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Patterns overlap, one covers another, and a topic is named beside them."""
        needs(backend.features.wildcards, "the backend has no wildcards")
        runs: Counter[tuple[str, str]] = Counter()
        handlers = HandlerGroup(prefix=f"{topic}.")
        for text in ("user.created", "user.*", "*.created", "#", "user.{what}", "user"):

            @handlers.handler(topic=text)
            async def handle(event: Event[Counted], text: str = text) -> None:
                runs[text, event.topic.removeprefix(f"{topic}.")] += 1

        sent = ["user.created", "user.gone", "order.created", "user", "deep.er.still"]
        expected = Counter(
            [
                ("user.created", "user.created"),
                ("user.*", "user.created"),
                ("user.*", "user.gone"),
                ("*.created", "user.created"),
                ("*.created", "order.created"),
                ("user.{what}", "user.created"),
                ("user.{what}", "user.gone"),
                ("user", "user"),
                *(("#", name) for name in sent),
            ]
        )
        async with self.service(backend, group, topic, handlers) as listener:
            await self.emit(backend, [_event(f"{topic}.{name}") for name in sent])
            await self.until(lambda: runs.total() >= expected.total(), "every handler")
            await asyncio.sleep(self.quiet)
            assert await listener.health()
        assert runs == expected
        assert listener.outcomes.unhandled == 0

    async def test_the_order_of_a_key_holds_on_each_topic_of_a_pattern(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """One at a time, and in order."""
        needs(backend.features.wildcards, "the backend has no wildcards")
        seen: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        handlers = HandlerGroup()

        @handlers.handler(topic=f"{topic}.#")
        async def handle(event: Event[Counted]) -> None:
            await asyncio.sleep(0.002 if event.body.number % 7 == 0 else 0)
            seen[event.topic, event.body.key].append(event.body.number)

        names = [topic, f"{topic}.a", f"{topic}.a.b"]
        places = [(name, key) for name in names for key in ("x", "y")]
        async with self.service(backend, group, topic, handlers, max_in_flight=40):
            await self.emit(
                backend, [_event(name, key, number) for number in range(40) for name, key in places]
            )
            await self.until(lambda: sum(map(len, seen.values())) >= 240, "all of them")
        assert seen == {place: list(range(40)) for place in places}

    async def test_dead_letters_of_a_pattern_lie_together_and_are_replayed(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Whatever topic they came from; and a pattern that matches them does not get them."""
        needs(backend.features.wildcards, "the backend has no wildcards")
        closed, seen = True, list[str]()
        handlers = HandlerGroup()

        @handlers.handler(topic=f"{topic}.#")
        async def handle(event: Event[Counted]) -> None:
            if closed:
                raise ValueError("closed")
            seen.append(event.topic)

        @handlers.handler(topic=f"{topic}.{{number}}.x")
        async def numbered(number: Annotated[int, TopicSegment()]) -> None: ...

        names = [f"{topic}.1", f"{topic}.odd.x"]
        async with self.service(backend, group, topic, handlers) as listener:
            await self.emit(backend, map(_event, names))
            await self.until(lambda: listener.outcomes.dead_lettered >= 3, "three dead letters")
            refused = DeadLetters(backend, topic=f"{topic}.{{number}}.x", group=group)
            (letter,) = await refused.read()
            assert (letter.reason, letter.topic) == ("invalid", names[1])
            letters = DeadLetters(backend, topic=f"{topic}.#", group=group)
            assert sorted(str(letter.topic) for letter in await letters.read()) == names
            closed = False
            assert await letters.replay() == 2
            await self.until(lambda: len(seen) >= 2, "both again")
            await asyncio.sleep(self.quiet)
            assert await letters.read() == []
            assert await listener.health()
        assert sorted(seen) == names
        assert listener.outcomes.dead_lettered == 3


def _event(topic: str, key: str = "key", number: int = 0) -> Counted:
    return Counted(topic=topic, key=key, number=number)
