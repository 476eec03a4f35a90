"""The promise of a clean end."""

import asyncio
from typing import Final

import pytest

from dispytch import Event, EventEmitter
from dispytch.exceptions import NotRunning
from dispytch.testing.conformance.events import Counted, Ledger, assert_handled, counted
from dispytch.testing.conformance.events import assert_in_order as assert_order
from dispytch.testing.conformance.process import serving
from dispytch.testing.conformance.setting import Setting, needs, noting
from dispytch.transport import Backend

_MOMENTS: Final = 8


class CleanEnd(Setting):
    """Intake stops, handlers finish within the deadline, what is done is settled."""

    async def test_stopping_in_mid_flow_repeats_nothing(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`EventListener.stop`, three times over, under a backlog: zero duplicates."""
        ledger, events = Ledger(), counted(topic, keys=20, each=30)
        await self.prepare(backend, group, topic)
        await self.emit(backend, events)
        for count in (100, 250, 400):
            listener = self.service(backend, group, topic, noting(ledger, 0.003))
            async with listener:
                await self.handled(ledger, count)
                await asyncio.gather(*(listener.stop() for _ in range(5)))
                ledger.assert_none_cut_off()
        async with self.service(backend, group, topic, noting(ledger)):
            await self.handled(ledger, len(events))
            await asyncio.sleep(self.quiet)
        ledger.assert_handled(events)
        ledger.assert_in_order()

    async def test_the_deadline_holds(self, backend: Backend, topic: str, group: str) -> None:
        """What has not finished by then is cut off, and comes again; what has does not."""
        ledger, events = Ledger(), counted(topic, keys=10, each=3)
        stand_still = True

        async def uneven(event: Event[Counted]) -> None:
            with ledger.run(event):
                still = stand_still and event.body.key == "key-0"
                await asyncio.sleep(2 * self.patience if still else 0)

        now = asyncio.get_running_loop().time
        async with self.service(backend, group, topic, uneven, drain_timeout=0.3) as listener:
            await self.emit(backend, events)
            await self.handled(ledger, 27)
            await self.until(lambda: ledger.running == 1, "the handler that stands still")
            began = now()
            await listener.stop()
            ended = now() - began
        assert 0.3 <= ended < 0.3 + self.patience, f"it took {ended:.1f} s to stop"
        stand_still = False
        async with self.service(backend, group, topic, uneven):
            await self.handled(ledger, len(events))
            await asyncio.sleep(self.quiet)
        ledger.assert_handled(events, duplicates=self.behind_unsettled(backend))
        assert [number for key, number in ledger.handled if key == "key-0"] == [0, 1, 2]
        ledger.assert_in_order()

    async def test_services_that_end_at_once(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Three of one group are stopped together, in mid-flow: zero duplicates."""
        ledger, events = Ledger(), counted(topic, keys=30, each=20)
        three = [self.service(backend, group, topic, noting(ledger, 0.003)) for _ in range(3)]
        await self.prepare(backend, group, topic)
        await asyncio.gather(*(one.__aenter__() for one in three))
        await self.emit(backend, events)
        await self.handled(ledger, 100)
        await asyncio.gather(*(one.__aexit__(None, None, None) for one in three))
        ledger.assert_none_cut_off()
        async with self.service(backend, group, topic, noting(ledger)):
            await self.handled(ledger, len(events))
            await asyncio.sleep(self.quiet)
        ledger.assert_handled(events)

    async def test_sigterm_repeats_nothing(
        self, backend: Backend, url: str, topic: str, group: str
    ) -> None:
        """SIGTERM in mid-flow, to a process with slow handlers: exit status 0, zero duplicates."""
        needs(backend.features.durable, "the broker ends with the process")
        events = counted(topic, keys=20, each=20)
        await self.prepare(backend, group, topic)
        await self.emit(backend, events)
        async with serving(url, topic, group, pause=0.1, window=self.window) as first:
            await self.until(lambda: len(first.handled) >= 40, "40 events")
            assert await first.terminate() == 0
        assert first.began == [*dict.fromkeys(first.began)]
        assert set(first.began) == set(first.handled), "a handler was cut off"
        async with serving(url, topic, group) as second:
            rest = len(events) - len(first.handled)
            await self.until(lambda: len(second.handled) >= rest, "the rest")
            await asyncio.sleep(self.quiet)
            assert await second.terminate() == 0
        assert_handled([*first.handled, *second.handled], events)
        assert_order([*first.began, *second.began])

    async def test_a_signal_at_any_moment_of_the_start(
        self, backend: Backend, url: str, topic: str, group: str
    ) -> None:
        """Status 0, what was made is closed, the group is left: the next member has all of it."""
        events = counted(topic, keys=10, each=2)
        await self.prepare(backend, group, topic)
        async with serving(url, topic, group) as whole:
            await whole.says("starting")
            began = asyncio.get_running_loop().time()
            await whole.says("listening")
            span = asyncio.get_running_loop().time() - began
            assert await whole.terminate() == 0
        assert whole.said == ["starting", "made", "listening", "closed"]
        for moment in range(_MOMENTS):
            async with serving(url, topic, group) as service:
                await service.says("starting")
                await asyncio.sleep(span * moment / (_MOMENTS - 2))
                end = service.interrupt if moment % 2 else service.terminate
                assert await end() == 0, f"{moment}: {service.said}"
            assert service.said.count("made") == service.said.count("closed"), service.said
        if backend.features.durable:
            async with serving(url, topic, group) as last:
                await self.emit(backend, events)
                await self.until(lambda: len(last.handled) >= len(events), "all events")
                assert await last.terminate() == 0
            assert_handled(last.handled, events)

    async def test_an_emitter_belongs_to_its_event_loop(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """In another one, and after its own has ended: a clear error at once, no hang."""
        await self.prepare(backend, group, topic)
        event = counted(topic, keys=1, each=1)[0]
        emitter = EventEmitter(backend)

        def elsewhere() -> None:
            asyncio.run(asyncio.wait_for(emitter.emit(event), self.patience))

        async with emitter:
            with pytest.raises(NotRunning, match="another event loop"):
                await asyncio.to_thread(elsewhere)
            await emitter.emit(event)
