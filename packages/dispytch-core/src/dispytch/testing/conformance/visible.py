"""The promise that a service shows how it is."""

import asyncio
import logging
import re
from collections.abc import Callable

import pytest

from dispytch import Event, EventListener, Health, RetryPolicy, Skip
from dispytch.messages import Message
from dispytch.testing.conformance.events import Counted, Ledger, counted
from dispytch.testing.conformance.setting import Setting, noting
from dispytch.testing.conformance.tap import tapped
from dispytch.transport import CONNECTION, Backend


class Visible(Setting):
    """Every outcome is counted, and health says whether events really flow."""

    async def test_every_outcome_is_counted(self, backend: Backend, topic: str, group: str) -> None:
        """`EventListener.outcomes`: handled, skipped, tried again, given up, not taken."""
        events = counted(topic, keys=10, each=1)

        async def handle(event: Event[Counted]) -> None:
            match event.body.key:
                case "key-0":
                    raise Skip("nothing to do")
                case "key-1":
                    raise ValueError("always")
                case "key-2" if event.attempt == 1:
                    raise ValueError("once")
                case _:
                    pass

        retry = RetryPolicy(attempts=2, delay=0.01)
        async with self.service(backend, group, topic, handle, retry=retry) as listener:
            await self.emit(backend, events)
            await self.send(backend, [_of_another_type(topic)])
            outcomes = listener.outcomes
            await self.until(lambda: outcomes.handled == 8 and outcomes.unhandled == 1, "outcomes")
            await self.until(lambda: outcomes.dead_lettered == 1, "a dead letter")
            assert (outcomes.skipped, outcomes.retried, outcomes.dropped) == (1, 2, 0)

    async def test_health_is_good_while_events_flow(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Streams are held, nothing waits, nothing is in flight; before and after it is not."""
        ledger, events = Ledger(), counted(topic, keys=10, each=10)
        listener = self.service(backend, group, topic, noting(ledger))
        assert not await listener.health()
        async with listener:
            await self.emit(backend, events)
            await self.handled(ledger, len(events))
            health = await self._health(
                listener, lambda one: not one.in_flight and not sum(one.lag.values())
            )
            assert health.healthy, health.problems
            assert health.streams
            assert set(health.lag) <= set(health.streams)
            assert (health.oldest, health.last_error) == (None, None)
        assert not await listener.health()

    async def test_health_tells_what_is_stuck_and_what_waits(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Events in flight, the age of the oldest, and what the broker has still to hand out."""
        go_on, events = asyncio.Event(), counted(topic, keys=10, each=10)

        async def stuck(event: Event[Counted]) -> None:
            await go_on.wait()

        await self.prepare(backend, group, topic)
        await self.emit(backend, events)
        listener = self.service(
            backend, group, topic, stuck, max_in_flight=10, concurrency=2, stuck_after=0.1
        )
        async with listener:
            red = await self._health(
                listener, lambda one: sum(one.lag.values()) + one.in_flight == 100 and not one
            )
            assert 2 <= red.in_flight <= 10
            assert red.oldest is not None
            assert red.oldest > 0.1
            go_on.set()
            await self._health(listener, lambda one: bool(one) and not sum(one.lag.values()))
            await self.until(lambda: listener.outcomes.handled == 100, "all of them")

    async def test_health_names_the_last_error(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """What went wrong last is shown, and is no problem by itself: events flow."""
        (event,) = counted(topic, keys=1, each=1)

        async def fail(event: Event[Counted]) -> None:
            raise ValueError("out of stock")

        async with self.service(backend, group, topic, fail) as listener:
            await self.emit(backend, [event])
            await self.until(lambda: listener.outcomes.dead_lettered == 1, "a dead letter")
            health = await listener.health()
            assert "out of stock" in str(health.last_error)
            assert health.healthy, health.problems

    async def test_health_shows_what_the_backend_finds_wrong(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`Consumer.problems` makes health red; a lost connection is not `connected`."""
        watched = tapped(backend)
        async with self.service(watched, group, topic, noting(Ledger())) as listener:
            await self._health(listener, bool)
            watched.problems["a stream"] = "a stream cannot be read: bad checksum"
            red = await listener.health()
            assert "a stream cannot be read: bad checksum" in red.problems
            assert red.connected
            watched.problems[CONNECTION] = "the broker is gone: ConnectionResetError"
            gone = await listener.health()
            assert not gone.connected
            watched.problems.clear()
            health = await self._health(listener, bool)
            assert health.connected

    async def test_the_log_says_when_a_problem_begins_and_ends(
        self, backend: Backend, topic: str, group: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Once each, whether or not anybody asks for the health, and for how long it lasted."""

        def lines() -> list[str]:
            said = [one for one in caplog.records if "bad checksum" in one.getMessage()]
            assert all(one.levelno >= logging.WARNING for one in said)
            return [one.getMessage() for one in said]

        watched = tapped(backend)
        async with self.service(watched, group, topic, noting(Ledger())):
            for reason in ("bad checksum at 7", "bad checksum at 8"):
                watched.problems["a stream"] = f"a stream cannot be read: {reason}"
                await self.until(lambda: bool(lines()), "a line about the problem")
            del watched.problems["a stream"]
            await self.until(lambda: len(lines()) > 1, "a line about its end")
        began, ended = lines()
        assert began.endswith("a stream cannot be read: bad checksum at 7")
        assert re.search(r"over after \d+\.\d s", ended), ended

    async def _health(self, listener: EventListener, holds: Callable[[Health], bool]) -> Health:
        """The listener's health, once it is as it should be."""
        now = asyncio.get_running_loop().time
        deadline = now() + self.patience
        while not holds(health := await listener.health()):
            assert now() < deadline, f"still {health}"
            await asyncio.sleep(0.02)
        return health


def _of_another_type(topic: str) -> Message:
    return Message(topic, b"{}", b"key", (("content-type", b"application/json"),))
