"""The promise that every request gets its own answer."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from dispytch import Event, EventEmitter, EventListener, HandlerGroup, Reject, RetryPolicy
from dispytch.exceptions import RequestFailed, RequestTimeout
from dispytch.testing.conformance.events import EVENT_TYPE, Counted, Ledger, counted
from dispytch.testing.conformance.process import requesting, serving
from dispytch.testing.conformance.setting import RestartBroker, Setting, needs, noting
from dispytch.testing.transport.scene import unique
from dispytch.transport import Backend


@dataclass(frozen=True)
class Answered:
    """What the handlers of these tests answer."""

    key: str
    number: int
    attempt: int


async def answer(event: Event[Counted]) -> Answered:
    """Answer what was asked, and later the sooner it was asked."""
    await asyncio.sleep(0.001 * (event.body.number % 7))
    return Answered(key=event.body.key, number=event.body.number, attempt=event.attempt)


class RequestsAreAnswered(Setting):
    """A request gets the answer to itself, or an error that says why there is none."""

    async def test_many_requests_at_once_are_not_mixed_up(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """200 of each of two emitters, under one source: each gets its own answers, once."""
        asked = counted(topic, keys=20, each=20)
        async with (
            self.answering(backend, group, topic, answer) as listener,
            EventEmitter(backend, source="one") as one,
            EventEmitter(backend, source="one") as other,
        ):
            emitters = [one, other] * (len(asked) // 2)
            answers = await asyncio.gather(*map(self.ask, emitters, asked))
        assert [(a.key, a.number) for a in answers] == [(e.key, e.number) for e in asked]
        assert listener.outcomes.answered == len(asked)
        assert listener.outcomes.unwanted == 0

    async def test_a_failure_comes_back_with_its_error(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Attempts that are used up, `Reject`, and a body that is refused."""

        async def fail(event: Event[Counted]) -> Answered:
            if event.body.number == 1:
                raise Reject("there is no such number")
            raise ValueError(f"attempt {event.attempt} of {event.body.key}")

        async def refuse(event: Event[int]) -> Answered:
            raise AssertionError("this body is no number")

        retry = RetryPolicy(attempts=3, delay=0.01, factor=1, jitter=False)
        other = unique("topic")
        async with (
            self.answering(backend, group, topic, fail, retry=retry),
            self.answering(backend, group + "-2", other, refuse),
            EventEmitter(backend) as emitter,
        ):
            failed = await self.failure(emitter, Counted(topic=topic, key="key", number=0))
            rejected = await self.failure(emitter, Counted(topic=topic, key="key", number=1))
            invalid = await self.failure(emitter, Counted(topic=other, key="key", number=2))
        assert (failed.reason, failed.error_type) == ("failed", "builtins.ValueError")
        assert failed.message == "attempt 3 of key"
        assert failed.handler.endswith("fail")
        assert (rejected.reason, rejected.message) == ("rejected", "there is no such number")
        assert invalid.reason == "invalid"
        assert invalid.error_type == "dispytch.exceptions.BodyInvalid"

    async def test_an_attempt_that_came_through_the_broker_answers(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """A request that is retried with a delay is one still."""

        async def second(event: Event[Counted]) -> Answered:
            if event.attempt == 1:
                raise ValueError("not yet")
            return await answer(event)

        retry = RetryPolicy(attempts=2, delay=0.1, jitter=False, delayed=True)
        async with (
            self.answering(backend, group, topic, second, retry=retry),
            EventEmitter(backend) as emitter,
        ):
            given = await self.ask(emitter, Counted(topic=topic, key="key", number=1))
        assert given == Answered(key="key", number=1, attempt=2)

    async def test_other_groups_only_listen(self, backend: Backend, topic: str, group: str) -> None:
        """A handler that returns nothing gives no answer, before or after the one that does."""
        ledger, asked = Ledger(), counted(topic, keys=5, each=4)
        async with (
            self.service(backend, group + "-audit", topic, noting(ledger)),
            self.answering(backend, group, topic, answer),
            EventEmitter(backend) as emitter,
        ):
            answers = await asyncio.gather(*(self.ask(emitter, event) for event in asked))
            await self.handled(ledger, len(asked))
        assert [(a.key, a.number) for a in answers] == [(e.key, e.number) for e in asked]
        ledger.assert_handled(asked)

    async def test_nobody_answers(self, backend: Backend, topic: str, group: str) -> None:
        """The requester is told so when its time is over; an answer after that is dropped."""
        may_answer = asyncio.Event()

        async def late(event: Event[Counted]) -> Answered:
            if event.body.number == 0:
                await may_answer.wait()
            return await answer(event)

        async with (
            self.answering(backend, group, topic, late) as listener,
            EventEmitter(backend) as emitter,
        ):
            await self.ask(emitter, Counted(topic=topic, key="other", number=1))
            with pytest.raises(RequestTimeout, match="no reply came from"):
                await emitter.request(
                    Counted(topic=topic, key="key", number=0), reply=Answered, timeout=1.0
                )
            may_answer.set()
            given = await self.ask(emitter, Counted(topic=topic, key="key", number=2))
            await self.until(lambda: listener.outcomes.answered == 3, "three answers")
        assert given.number == 2

    async def test_a_handler_asks_another(self, backend: Backend, topic: str, group: str) -> None:
        """The emitter that a handler is given makes requests, too."""
        inner = unique("topic")

        async def outer(event: Event[Counted], emitter: EventEmitter) -> Answered:
            question = Counted(topic=inner, key=event.body.key, number=event.body.number + 1)
            return await emitter.request(question, reply=Answered, timeout=self.patience)

        async with (
            self.answering(backend, group + "-inner", inner, answer),
            self.answering(backend, group, topic, outer),
            EventEmitter(backend) as emitter,
        ):
            given = await self.ask(emitter, Counted(topic=topic, key="key", number=1))
        assert given == Answered(key="key", number=2, attempt=1)

    async def test_a_killed_responder_is_stood_in_for(
        self, backend: Backend, url: str, topic: str, group: str
    ) -> None:
        """SIGKILL in the middle of requests: the next member of the group answers them."""
        needs(backend.features.durable, "the broker ends with the process")
        needs(backend.features.temporary, "there are no temporary subscriptions")
        asked = counted(topic, keys=10, each=1)
        await self.prepare(backend, group, topic)
        async with EventEmitter(backend) as emitter, serving(url, topic, group, pause=600) as stuck:
            requests = [
                asyncio.create_task(emitter.request(event, reply=int, timeout=2 * self.patience))
                for event in asked
            ]
            await self.until(lambda: len(stuck.began) >= 5, "requests in their handlers")
            await stuck.kill()
            async with serving(url, topic, group):
                answers = await asyncio.gather(*requests)
        assert answers == [event.number for event in asked]

    async def test_a_killed_requester_disturbs_nobody(
        self, backend: Backend, url: str, topic: str, group: str
    ) -> None:
        """Its answers are dropped; those of others arrive, under the same source as well."""
        needs(backend.features.durable, "the broker ends with the process")
        needs(backend.features.temporary, "there are no temporary subscriptions")
        may_answer = asyncio.Event()
        waiting: Counter[str] = Counter()

        async def slow(event: Event[Counted]) -> Answered:
            waiting[event.body.key] += 1
            if event.body.key == "doomed":
                await may_answer.wait()
            return await answer(event)

        async with self.answering(backend, group, topic, slow, ordering="none") as listener:
            async with requesting(url, topic, key="doomed", count=10) as doomed:
                await self.until(lambda: waiting["doomed"] >= 10, "the other's requests")
                await doomed.kill()
            may_answer.set()
            async with EventEmitter(backend) as emitter:
                asked = counted(topic, keys=5, each=2)
                answers = await asyncio.gather(*(self.ask(emitter, event) for event in asked))
            outcomes = listener.outcomes
            await self.until(lambda: outcomes.answered + outcomes.unwanted >= 20, "all answers")
        assert [a.number for a in answers] == [event.number for event in asked]
        assert outcomes.handled == 20

    async def test_requests_go_on_after_a_restart_of_the_broker(
        self, backend: Backend, topic: str, group: str, restart_broker: RestartBroker | None
    ) -> None:
        """The same emitter and listener: what is asked after it is answered again."""
        needs(backend.features.durable, "the broker keeps nothing over its restart")
        needs(restart_broker is not None, "the tests may not restart the broker")
        assert restart_broker is not None
        before, after = counted(topic, keys=5, each=2), counted(topic, keys=5, each=2, start=2)
        async with (
            self.answering(backend, group, topic, answer),
            EventEmitter(backend) as emitter,
        ):
            await asyncio.gather(*(self.ask(emitter, event) for event in before))
            await restart_broker()
            answers = await asyncio.gather(*(self._asked_again(emitter, event) for event in after))
        assert [(a.key, a.number) for a in answers] == [(e.key, e.number) for e in after]

    async def _asked_again(self, emitter: EventEmitter, event: Counted) -> Answered:
        """The answer, asked for until there is one: what was on its way may be lost."""
        async with asyncio.timeout(3 * self.patience):
            while True:
                with contextlib.suppress(RequestTimeout):
                    return await emitter.request(event, reply=Answered, timeout=5)

    @asynccontextmanager
    async def answering(
        self, backend: Backend, group: str, topic: str, handler: Callable[..., Any], **options: Any
    ) -> AsyncGenerator[EventListener, None]:
        """A listener with this handler; skips where nothing can be answered."""
        needs(backend.features.temporary, "there are no temporary subscriptions")
        handlers = HandlerGroup(default_topic=topic, default_event=EVENT_TYPE)
        handlers.handler()(handler)
        async with self.service(backend, group, topic, handlers, **options) as listener:
            yield listener

    async def ask(self, emitter: EventEmitter, event: Counted) -> Answered:
        """The answer to a request."""
        return await emitter.request(event, reply=Answered, timeout=self.patience)

    async def failure(self, emitter: EventEmitter, event: Counted) -> RequestFailed:
        """Why a request has failed."""
        with pytest.raises(RequestFailed) as failed:
            await self.ask(emitter, event)
        return failed.value
