"""The promise that nothing is lost, however a service or its broker ends."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from dispytch import EventEmitter
from dispytch.testing.conformance.events import Counted, Ledger, assert_handled, counted
from dispytch.testing.conformance.events import assert_in_order as assert_order
from dispytch.testing.conformance.process import serving
from dispytch.testing.conformance.setting import RestartBroker, Setting, needs, noting
from dispytch.testing.transport.scene import unique
from dispytch.transport import Backend

_ACKS_WITHIN: Final = 1.0
"""`Consumer.ack` promises that the backend batches acks for no longer than this."""


class NothingIsLost(Setting):
    """A delivery is settled only after its outcome is durable."""

    async def test_every_event_is_handled_once(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Emitted in parallel, from many tasks: nothing is lost, nothing comes twice."""
        ledger, events = Ledger(), counted(topic, keys=50, each=20)
        async with (
            self.service(backend, group, topic, noting(ledger)) as listener,
            EventEmitter(backend) as emitter,
        ):
            await asyncio.gather(*(emitter.emit_many(events[n::10]) for n in range(10)))
            await self.handled(ledger, len(events))
            await self.until(lambda: listener.outcomes.handled == len(events), "every outcome")
            await asyncio.sleep(self.quiet)
        ledger.assert_handled(events)

    async def test_a_service_that_comes_back_has_missed_nothing(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Closed in the middle, and opened again: what was emitted meanwhile is there too."""
        ledger, events = Ledger(), counted(topic, keys=20, each=30)
        async with self.service(backend, group, topic, noting(ledger, 0.002)):
            await self.emit(backend, events[:400])
            await self.handled(ledger, 100)
        assert len(ledger.handled) < len(events)
        await self.emit(backend, events[400:])
        async with self.service(backend, group, topic, noting(ledger)):
            await self.handled(ledger, len(events))
            await asyncio.sleep(self.quiet)
        ledger.assert_handled(events)
        ledger.assert_in_order()

    async def test_a_kill_costs_exactly_what_was_not_settled(
        self, backend: Backend, url: str, topic: str, group: str
    ) -> None:
        """SIGKILL in the handlers: what they had begun comes again, what was settled does not."""
        needs(backend.features.durable, "the broker ends with the process")
        settled, events = (
            counted(topic, keys=10, each=10),
            counted(topic, keys=10, each=5, start=10),
        )
        await self.prepare(backend, group, topic)
        async with serving(url, topic, group) as quick:
            await self.emit(backend, settled)
            await self.until(lambda: len(quick.handled) >= len(settled), "the first events")
            await asyncio.sleep(_ACKS_WITHIN + self.quiet)
            await quick.kill()
        async with serving(url, topic, group, pause=600) as stuck:
            await self.emit(backend, events)
            await self.until(lambda: len(stuck.began) >= 10, "a handler for every key")
            await stuck.kill()
        async with serving(url, topic, group) as last:
            await self.until(lambda: len(last.handled) >= len(events), "what the stuck one left")
            await asyncio.sleep(self.quiet)
            assert await last.terminate() == 0
        assert_handled(quick.handled, settled)
        assert_handled(last.handled, events)
        assert_order([*quick.began, *stuck.began, *last.began])

    async def test_kills_at_random_moments_lose_nothing(
        self, backend: Backend, url: str, topic: str, group: str
    ) -> None:
        """SIGKILL in mid-flow, twice: all is handled, in order, within the budget."""
        needs(backend.features.durable, "the broker ends with the process")
        events, chance = counted(topic, keys=20, each=40), random.Random(topic)
        began: list[tuple[str, int]] = []
        handled: list[tuple[str, int]] = []
        await self.prepare(backend, group, topic)
        await self.emit(backend, events)
        for _ in range(2):
            async with serving(url, topic, group, pause=0.02, window=self.window) as service:
                enough = chance.randrange(50, 250)
                await self.until(lambda: len(service.handled) >= enough, "events handled")  # noqa: B023
                await service.kill()
            began, handled = began + service.began, handled + service.handled
        async with serving(url, topic, group, window=self.window) as last:
            await self._rest(last.handled, handled, events)
            await asyncio.sleep(self.quiet)
            assert await last.terminate() == 0
        assert_handled([*handled, *last.handled], events, duplicates=2 * self.duplicates)
        assert_order([*began, *last.began])

    async def _rest(
        self,
        now: Sequence[tuple[str, int]],
        before: Sequence[tuple[str, int]],
        events: Sequence[Counted],
    ) -> None:
        await self.until(lambda: len({*now, *before}) >= len(events), "every event")

    async def test_what_a_killed_handler_emitted_is_kept_or_emitted_again(
        self, backend: Backend, url: str, topic: str, group: str
    ) -> None:
        """SIGKILL between an emit and the end of its handler: what it led to is there, or comes."""
        needs(backend.features.durable, "the broker ends with the process")
        events, onward = counted(topic, keys=10, each=2), unique("topic")
        await self.prepare(backend, group, topic)
        async with self.reading(backend, group + "-onward", onward) as reader:
            async with serving(url, topic, group, pause=600, onward=onward) as stuck:
                await self.emit(backend, events)
                await self.until(lambda: len(stuck.emitted) >= 10, "events emitted by handlers")
                await stuck.kill()
            async with serving(url, topic, group, onward=onward) as last:
                await self.until(lambda: len(last.handled) >= len(events), "every event")
                assert await last.terminate() == 0
            emitted = len(stuck.emitted) + len(last.emitted)
            await self.until(lambda: len(reader.deliveries) >= emitted, "what was emitted")
        read = [Counted.model_validate_json(value or b"") for value in reader.values]
        assert_handled([(one.key, one.number) for one in read], events, duplicates=len(stuck.began))

    async def test_a_restart_of_the_broker_costs_nothing_but_time(
        self, backend: Backend, topic: str, group: str, restart_broker: RestartBroker | None
    ) -> None:
        """In mid-flow, while events are emitted and handled: both go on without a restart."""
        needs(backend.features.durable, "the broker keeps nothing over its restart")
        needs(restart_broker is not None, "the tests may not restart the broker")
        assert restart_broker is not None
        ledger, events, restarted = Ledger(), list[Counted](), asyncio.Event()

        async def emit_all() -> None:
            async with EventEmitter(backend) as emitter:
                while len(events) < 2000 or not restarted.is_set():
                    more = counted(topic, keys=40, each=1, start=len(events) // 40)
                    events.extend(more)
                    await emitter.emit_many(more)
                    await asyncio.sleep(0.05)

        limits = {"max_in_flight": self.window, "concurrency": 10}
        async with self.service(backend, group, topic, noting(ledger, 0.005), **limits):
            emitting = asyncio.create_task(emit_all())
            await self.handled(ledger, 500)
            await restart_broker()
            restarted.set()
            async with asyncio.timeout(2 * self.patience):
                await emitting
            await self.handled(ledger, len(events))
        ledger.assert_handled(events, duplicates=self.duplicates)
        ledger.assert_in_order()
