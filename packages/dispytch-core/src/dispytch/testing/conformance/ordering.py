"""The promise of order: one key's events one at a time, in order, beside those of others."""

import asyncio

from dispytch import Event, RetryPolicy
from dispytch.testing.conformance.events import Counted, Ledger, counted
from dispytch.testing.conformance.setting import Setting, needs, noting
from dispytch.transport import Backend


class OrderPerKey(Setting):
    """Across retries, members that come and go, and a service that takes over."""

    async def test_the_order_holds_across_retries(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """An event that is tried again holds up its own key, and none of its runs is passed."""
        ledger, events = Ledger(), counted(topic, keys=20, each=20)

        async def shaky(event: Event[Counted]) -> None:
            with ledger.run(event):
                await asyncio.sleep(0)
                if event.attempt <= event.body.number % 3:
                    raise RuntimeError("not yet")

        retry = RetryPolicy(attempts=3, delay=0.005)
        async with self.service(backend, group, topic, shaky, retry=retry):
            await self.emit(backend, events)
            await self.handled(ledger, len(events))
        ledger.assert_handled(events)
        for key in {event.key for event in events}:
            began = [(run.number, run.attempt) for run in ledger.runs if run.key == key]
            assert began == [(n, attempt) for n in range(20) for attempt in range(1, n % 3 + 2)]
        assert not ledger.overlaps

    async def test_a_key_that_stands_still_holds_up_no_other(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Keys never share a lane: all the others of one partition or queue run beside it."""
        ledger, events = Ledger(), counted(topic, keys=40, each=5)
        go_on = asyncio.Event()

        async def handle(event: Event[Counted]) -> None:
            with ledger.run(event):
                if event.body.key == "key-0":
                    await go_on.wait()

        async with self.service(backend, group, topic, handle, concurrency=4):
            await self.emit(backend, events)
            await self.handled(ledger, len(events) - 5)
            assert not [key for key, _ in ledger.handled if key == "key-0"]
            go_on.set()
            await self.handled(ledger, len(events))
        ledger.assert_handled(events)
        ledger.assert_in_order()

    async def test_the_order_holds_when_a_service_takes_over(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """One ends in mid-flow, with retries under way, and the next goes on where it was."""
        ledger, events = Ledger(), counted(topic, keys=20, each=20)

        async def shaky(event: Event[Counted]) -> None:
            with ledger.run(event):
                await asyncio.sleep(0.001)
                if event.attempt == 1 and event.body.number % 4 == 0:
                    raise RuntimeError("not yet")

        options = {"retry": RetryPolicy(attempts=5, delay=0.05), "max_in_flight": self.window}
        await self.prepare(backend, group, topic)
        await self.emit(backend, events)
        async with self.service(backend, group, topic, shaky, **options):
            await self.handled(ledger, 50)
        async with self.service(backend, group, topic, shaky, **options):
            await self.handled(ledger, len(events))
            await asyncio.sleep(self.quiet)
        ledger.assert_handled(events, duplicates=self.behind_unsettled(backend))
        ledger.assert_in_order()

    async def test_no_key_is_with_two_members_at_once(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """``shared_order``: one joins, one leaves, in mid-handler; each event is handled once."""
        needs(backend.features.shared_order, "members of a group keep no order between them")
        ledger, joined, events = Ledger(), Ledger(), counted(topic, keys=40, each=20)

        async def second(event: Event[Counted]) -> None:
            with ledger.run(event), joined.run(event):
                await asyncio.sleep(0.01)

        async with self.service(backend, group, topic, noting(ledger, 0.01), concurrency=8) as one:
            await self.emit(backend, events[:400])
            await self.handled(ledger, 40)
            async with self.service(backend, group, topic, second, concurrency=8):
                await self.emit(backend, events[400:])
                await self.until(lambda: len(joined.handled) > 20, "a share for who joined")
                await one.stop()
                await self.handled(ledger, len(events))
        ledger.assert_handled(events)
        ledger.assert_in_order()

    async def test_a_handler_outlives_no_lease(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """``shared_order``: one that is slower than the drain is cut off, and its event moves on.

        What it may still say of that event counts for nothing.
        """
        needs(backend.features.shared_order, "no stream changes hands")
        ledger, other, events = Ledger(), Ledger(), counted(topic, keys=40, each=1)
        begun: list[str] = []
        cut_off: list[str] = []

        async def too_slow(event: Event[Counted]) -> None:
            begun.append(event.body.key)
            try:
                await asyncio.sleep(2 * self.patience)
            except asyncio.CancelledError:
                cut_off.append(event.body.key)
                raise

        drain = max(self.quiet, 0.2)
        async with self.service(backend, group, topic, too_slow, drain_timeout=drain):
            await self.emit(backend, events)
            await self.until(lambda: len(begun) == len(events), "every handler under way")
            async with self.service(backend, group, topic, noting(other)):
                await self.until(lambda: len(other.handled) > 0, "a share for who joined")
                assert {key for key, _ in other.handled} <= set(cut_off)
        async with self.service(backend, group, topic, noting(ledger)):
            await self.handled(ledger, len(events) - len(other.handled))
            await asyncio.sleep(self.quiet)
        ledger.handled += other.handled
        ledger.assert_handled(events)
