"""The promise that what is in flight is bounded."""

import asyncio

from dispytch import Event
from dispytch.testing.conformance.events import Counted, Ledger, counted
from dispytch.testing.conformance.setting import Setting, noting
from dispytch.testing.conformance.tap import tapped
from dispytch.transport import Backend


class Bounded(Setting):
    """Events in flight, and handlers that run, never exceed their limits."""

    async def test_in_flight_stays_within_the_limit(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Counted at every delivery, under a backlog; so are the handlers that run."""
        tap, ledger, events = tapped(backend), Ledger(), counted(topic, keys=50, each=12)
        await self.prepare(backend, group, topic)
        await self.emit(backend, events)
        limits = {"max_in_flight": 24, "concurrency": 5}
        async with self.service(tap, group, topic, noting(ledger, 0.001), **limits) as listener:
            async with asyncio.timeout(self.patience):
                while len(ledger.handled) < len(events) // 2:
                    assert (await listener.health()).in_flight <= 24
                    await asyncio.sleep(0.005)
            await self.handled(ledger, len(events))
        assert tap.peak <= 24, f"{tap.peak} in flight, with a limit of 24"
        assert 1 < ledger.most_at_once <= 5
        ledger.assert_handled(events)

    async def test_a_window_that_was_full_goes_on(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Handlers that stand still fill the window; nothing more comes until they go on."""
        tap, ledger, events = tapped(backend), Ledger(), counted(topic, keys=50, each=6)
        go_on = asyncio.Event()

        async def wait(event: Event[Counted]) -> None:
            with ledger.run(event):
                await go_on.wait()

        await self.prepare(backend, group, topic)
        await self.emit(backend, events)
        limits = {"max_in_flight": 20, "concurrency": 4}
        async with self.service(tap, group, topic, wait, **limits):
            await self.until(lambda: ledger.running == 4, "every worker busy")
            await asyncio.sleep(self.quiet)
            assert 4 <= len(tap.unsettled) <= 20
            assert ledger.running == 4
            go_on.set()
            await self.handled(ledger, len(events))
        assert tap.peak <= 20
        ledger.assert_handled(events)
        ledger.assert_in_order()
