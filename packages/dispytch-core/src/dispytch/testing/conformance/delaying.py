"""The promise that an attempt that comes later is never early, and is not forgotten."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dispytch import Event, EventEmitter, RetryAfter, RetryPolicy
from dispytch.exceptions import ConfigurationError
from dispytch.testing.conformance.events import Counted, Ledger, counted
from dispytch.testing.conformance.process import serving
from dispytch.testing.conformance.setting import Setting, needs, noting
from dispytch.testing.conformance.tap import tapped
from dispytch.transport import Backend

both_ways: pytest.MarkDecorator = pytest.mark.parametrize(
    "native", [True, False], ids=["broker", "header"]
)
"""By the broker's own delay, and by the time in a header, which the service waits for."""


class Delays(Setting):
    """Attempts that come through the broker; `RetryPolicy.delayed`."""

    async def test_an_emitted_event_waits_for_its_time(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """`emit` with ``delay`` and ``at``: never early, though its emitter is gone by then."""
        needs(backend.features.delay, "the broker keeps no message back")
        ledger = Ledger()
        later, last, now = (Counted(topic=topic, key="key", number=number) for number in range(3))
        clock = asyncio.get_running_loop().time
        async with self.service(backend, group, topic, noting(ledger)):
            began = clock()
            async with EventEmitter(backend) as emitter:
                await emitter.emit(last, at=datetime.now(UTC) + timedelta(seconds=4 * self._step))
                await emitter.emit_many([later], delay=timedelta(seconds=self._step))
                await emitter.emit(now, at=datetime.now(UTC) - timedelta(hours=1))
            await self.handled(ledger, 3)
        assert [number for _, number in ledger.handled] == [2, 0, 1]
        waited = {run.number: run.at - began for run in ledger.runs}
        assert waited[0] >= self._step
        # The two clocks need not agree to the millisecond.
        assert waited[1] >= 4 * self._step - 0.01

    async def test_an_emit_that_the_broker_cannot_keep_back_is_refused(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Before anything is sent, naming the backend."""
        needs(not backend.features.delay, "the broker has delays")
        await self.prepare(backend, group, topic)
        async with self.reading(backend, group, topic) as reader, EventEmitter(backend) as emitter:
            event = Counted(topic=topic, key="key", number=0)
            with pytest.raises(ConfigurationError, match=type(backend).__name__):
                await emitter.emit(event, delay=0.1)
            with pytest.raises(ConfigurationError, match="RetryAfter"):
                await emitter.emit_many([event], at=datetime.now(UTC))
            assert await self.all_of(backend, topic, [b"key"], reader) == []

    @both_ways
    async def test_short_waits_pass_long_ones(
        self, backend: Backend, topic: str, group: str, native: bool
    ) -> None:
        """However many events wait for an hour, one that waits for a moment is not behind them."""
        backend = _with_delays(backend, native)
        ledger = Ledger()
        long = counted(topic, keys=5, each=20)
        short = counted(topic, keys=5, each=4, start=1000)
        clock, failed = asyncio.get_running_loop().time, dict[tuple[str, int], float]()

        async def handle(event: Event[Counted]) -> None:
            with ledger.run(event):
                failed.setdefault((event.body.key, event.body.number), clock())
                if event.attempt == 1:
                    raise RetryAfter(self._step if event.body.number >= 1000 else 3600)

        retry = RetryPolicy(attempts=2, delayed=True)
        options = {"retry": retry, "max_in_flight": 10, "concurrency": 5}
        async with self.service(backend, group, topic, handle, **options) as listener:
            await self.emit(backend, long)
            await self.until(lambda: listener.outcomes.delayed == len(long), "the long waits")
            await self.emit(backend, short)
            await self.handled(ledger, len(short))
            assert listener.outcomes.delayed == len(long) + len(short)
        assert sorted(ledger.handled) == sorted((one.key, one.number) for one in short)
        for run in ledger.runs:
            if run.attempt == 2:
                assert run.at - failed[run.key, run.number] >= self._step - 0.01

    async def test_a_wait_in_a_holding_topic_is_kept_over_a_restart(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """Where the broker has no delays, what waits for longer than a moment waits in a topic."""
        backend = tapped(backend, delay=False)
        ledger, wait = Ledger(), 7.0
        events = counted(topic, keys=5, each=4)
        clock, failed = asyncio.get_running_loop().time, list[float]()

        async def handle(event: Event[Counted]) -> None:
            with ledger.run(event):
                if event.attempt == 1:
                    failed.append(clock())
                    raise RetryAfter(wait)

        retry = RetryPolicy(attempts=2, delayed=True)
        async with self.service(backend, group, topic, handle, retry=retry) as listener:
            await self.emit(backend, events)
            await self.until(lambda: listener.outcomes.delayed == len(events), "all of them")
        async with self.service(backend, group, topic, handle, retry=retry):
            await asyncio.sleep(wait)
            await self.handled(ledger, len(events))
            await asyncio.sleep(self.quiet)
        assert sorted(ledger.handled) == sorted((one.key, one.number) for one in events)
        seconds = [run.at for run in ledger.runs if run.attempt == 2]
        assert min(seconds) - min(failed) >= wait - 0.01

    @both_ways
    async def test_a_delayed_attempt_is_never_early(
        self, backend: Backend, topic: str, group: str, native: bool
    ) -> None:
        """Counted from the end of the attempt before; every event has its attempts, no more."""
        backend = _with_delays(backend, native)
        ledger, events = Ledger(), counted(topic, keys=10, each=3)
        ended: dict[tuple[str, int, int], float] = {}
        clock = asyncio.get_running_loop().time

        async def handle(event: Event[Counted]) -> None:
            with ledger.run(event):
                ended[event.body.key, event.body.number, event.attempt] = clock()
                if event.attempt < 3:
                    raise ValueError("not yet")

        retry = _delayed(self._step, attempts=3)
        async with self.service(backend, group, topic, handle, retry=retry) as listener:
            await self.emit(backend, events)
            await self.handled(ledger, len(events))
            assert listener.outcomes.delayed == 2 * len(events)
        ledger.assert_handled(events)
        for run in ledger.runs:
            if run.attempt > 1:
                waited = run.at - ended[run.key, run.number, run.attempt - 1]
                # The clock of the header and that of the event loop may differ by a tick.
                assert waited >= self._step - 0.002, f"{self._step - waited:.3f} s early: {run}"
        for event in events:
            assert ledger.attempts(event.key, event.number) == [1, 2, 3]

    @both_ways
    async def test_attempts_survive_the_end_of_a_service(
        self, backend: Backend, topic: str, group: str, native: bool
    ) -> None:
        """Its successor goes on counting, and waits no shorter."""
        backend = _with_delays(backend, native)
        first, second, events = Ledger(), Ledger(), counted(topic, keys=10, each=2)
        retry = _delayed(2 * self._step, attempts=2)

        # The same handler in both services: an attempt comes back to the handler of its name.
        async def handle(event: Event[Counted]) -> None:
            with (first if event.attempt == 1 else second).run(event):
                if event.attempt == 1:
                    raise ValueError("not here")

        async with self.service(backend, group, topic, handle, retry=retry) as listener:
            await self.emit(backend, events)
            await self.until(lambda: listener.outcomes.delayed == len(events), "every failure")
        assert not second.runs
        async with self.service(backend, group, topic, handle, retry=retry):
            await self.handled(second, len(events))
            await asyncio.sleep(self.quiet)
        first.assert_handled([])
        assert len(first.runs) == len(events)
        second.assert_handled(events)
        assert {run.attempt for run in second.runs} == {2}
        failed = {(run.key, run.number): run.at for run in first.runs}
        for run in second.runs:
            assert run.at - failed[run.key, run.number] >= 2 * self._step - 0.002

    async def test_attempts_survive_a_kill(
        self, backend: Backend, url: str, topic: str, group: str
    ) -> None:
        """SIGKILL between two attempts: the next one is counted as the second."""
        needs(backend.features.durable, "the broker ends with the process")
        events = counted(topic, keys=10, each=1)
        await self.prepare(backend, group, topic)
        await self.emit(backend, events)
        async with serving(url, topic, group, failures=1, delay=5) as first:
            await self.until(lambda: len(first.began) >= len(events), "the first attempts")
            await asyncio.sleep(self.quiet + 1.0)
            await first.kill()
        async with serving(url, topic, group, failures=1, delay=5) as second:
            await self.until(lambda: len(second.handled) >= len(events), "the second attempts")
            assert await second.terminate() == 0
        assert sorted(second.attempts) == sorted((one.key, one.number, 2) for one in events)

    @both_ways
    async def test_what_waits_holds_up_nothing_else(
        self, backend: Backend, topic: str, group: str, native: bool
    ) -> None:
        """Neither its own key nor the only worker."""
        backend = _with_delays(backend, native)
        ledger, events = Ledger(), counted(topic, keys=5, each=10)

        async def handle(event: Event[Counted]) -> None:
            with ledger.run(event):
                if event.body.number == 0 and event.attempt == 1:
                    raise ValueError("not yet")

        retry = _delayed(4 * self._step, attempts=2)
        async with self.service(backend, group, topic, handle, retry=retry, concurrency=1):
            await self.emit(backend, events)
            await self.handled(ledger, len(events))
        ledger.assert_handled(events)
        assert {number for _, number in ledger.handled[-5:]} == {0}

    async def test_retry_after_is_never_early(
        self, backend: Backend, topic: str, group: str
    ) -> None:
        """A handler says when: its key waits, in order, and the others do not."""
        ledger, events = Ledger(), counted(topic, keys=5, each=3)

        async def handle(event: Event[Counted]) -> None:
            with ledger.run(event):
                if event.body.key == "key-0" and event.body.number == 1 and event.attempt == 1:
                    raise RetryAfter(2 * self._step)

        async with self.service(backend, group, topic, handle):
            await self.emit(backend, events)
            await self.handled(ledger, len(events))
        ledger.assert_handled(events)
        ledger.assert_in_order()
        one, two = (run.at for run in ledger.runs if (run.key, run.number) == ("key-0", 1))
        assert two - one >= 2 * self._step
        assert ledger.handled[-2:] == [("key-0", 1), ("key-0", 2)]

    @property
    def _step(self) -> float:
        return max(self.quiet, 0.1)


def _delayed(delay: float, *, attempts: int) -> RetryPolicy:
    return RetryPolicy(attempts=attempts, delay=delay, factor=1, jitter=False, delayed=True)


def _with_delays(backend: Backend, native: bool) -> Backend:
    if native:
        needs(backend.features.delay, "the broker keeps no message back")
        return backend
    return tapped(backend, delay=False)
