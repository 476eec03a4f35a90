"""A service that runs on a broker and a clock of its own."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Final, Protocol

from dispytch.clock import Clock
from dispytch.delivery import Observer, Outcomes
from dispytch.exceptions import AlreadyRunning, NotRunning, Unsettled
from dispytch.memory import MemoryBroker
from dispytch.probe.backend import ProbeBackend, in_place_of
from dispytch.probe.clock import Pace, ProbeClock
from dispytch.probe.recorder import Recorder
from dispytch.probe.unsettled import open_events
from dispytch.service import Service
from dispytch.settings import Settings

PATIENCE: Final = 0.25
"""Real seconds that handlers have to return before the clock is moved on under them."""

STILLNESS: Final = 1.0
"""Real seconds in which nothing happens, before a handler is taken to wait for its timeout."""

_ROUNDING: Final = 1e-6
"""Seconds that are no time: sums of times differ by less, depending on the steps taken."""


class MakeService(Protocol):
    """Makes a listener's service anew, with its wiring checked."""

    def __call__(
        self, settings: Settings, outcomes: Outcomes, clock: Clock, observer: Observer
    ) -> Service:
        """A service that has not started."""
        ...


class Trial:
    """One service, and all that is around it while it is tested.

    patience: real seconds that `settle` waits at most.
    """

    def __init__(
        self,
        make: MakeService,
        settings: Settings,
        *,
        pace: Pace,
        patience: float,
        read_elsewhere: Collection[str] = (),
    ) -> None:
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._bell = self._loop.create_future()
        self._patience = patience
        self._stillness = min(STILLNESS, patience / 5)
        self._happened = self._loop.time()
        self._skips = pace == "auto"
        self._clock = ProbeClock(pace, self._ring)
        self._broker = MemoryBroker()
        self._broker.delayed.clock = self._clock.time
        read = settings.wire.reader(settings.backend.features.attribute_prefixes)
        self.recorder: Final = Recorder(read, self._clock.time, self._ring)
        self.outcomes: Final = Outcomes()
        self.backend: Final[ProbeBackend] = in_place_of(
            settings.backend, self._broker, self.recorder, settings.group, read_elsewhere
        )
        self._settings = replace(
            settings, backend=self.backend, middlewares=(self.recorder, *settings.middlewares)
        )
        self._topics: tuple[str, ...] = ()
        self._service: Service | None = None

    @property
    def service(self) -> Service:
        """The service that runs.

        Raises:
            NotRunning: none does.
        """
        if self._service is None:
            raise NotRunning("the service under test is not running: call start() first")
        return self._service

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that its handlers read, sorted."""
        return self._topics

    @property
    def runs(self) -> bool:
        """Whether the service runs."""
        return self._service is not None

    async def start(self) -> None:
        """Start the service; raises what a listener raises then."""
        if self._service is not None:
            raise AlreadyRunning("the service under test is running already")
        clock = self._clock.clock()
        service = self._make(self._settings, self.outcomes, clock, self.recorder)
        self.recorder.know(service.handlers)
        self._topics = service.topics
        service.when_ended(self._ring)
        self._service = service
        try:
            await service.start()
        except BaseException:
            self._service = None
            raise

    async def stop(self, *, at_once: bool = False) -> None:
        """End the service: drained, or cut off. Raises what it has ended of."""
        service, self._service = self._service, None
        if service is None:
            return
        if at_once:
            service.cut_short()
        else:
            service.stop()
        try:
            await service.ended()
        finally:
            self.recorder.forget_open()

    def close(self) -> None:
        """Let nothing happen any more."""
        self._clock.close()

    async def settle(self) -> None:
        """Wait until nothing is open; see `Probe.settled`."""
        deadline = self._loop.time() + self._patience
        while True:
            rests = await self._rests(deadline, skips=self._skips)
            due = self._next_due()
            if rests and (due is None or not self._skips):
                return
            if not rests:
                if due is None or not self._stands_still:
                    raise self._unsettled()
                deadline += self._stillness
            assert due is not None
            self._move_to(due)

    async def advance(self, seconds: float) -> None:
        """Move the clock, with a halt at all that is due on the way; see `Probe.advance`."""
        target = self._clock.time() + seconds
        await self._rests(self._loop.time() + PATIENCE)
        while (due := self._next_due()) is not None and due <= target + _ROUNDING:
            self._move_to(due)
            await self._rests(self._loop.time() + PATIENCE)
        self._move_to(target)
        await self._rests(self._loop.time() + PATIENCE)

    async def _rests(self, deadline: float, *, skips: bool = False) -> bool:
        """Wait until nothing can happen before the clock moves on; False if the deadline came.

        skips: or if what runs stands still, and something is due later, such as its timeout.
        """
        while not (await self._stays_at_rest() and self._loop.time() <= deadline):
            left = deadline - self._loop.time()
            if left <= 0 or (skips and self._stands_still):
                return False
            if self._bell.done():
                self._bell = self._loop.create_future()
            wait = min(left, self._stillness) if skips else left
            await asyncio.wait({self._bell}, timeout=wait)
            await self._raise_end()
        return True

    @property
    def _stands_still(self) -> bool:
        """Whether something is due, and nothing has happened for so long that it may be awaited."""
        still = self._loop.time() - self._happened >= self._stillness
        return still and self._skips and self._next_due() is not None

    async def _stays_at_rest(self) -> bool:
        """Whether it is at rest, and what has been called already does not change that."""
        if not self._at_rest():
            return False
        await asyncio.sleep(0)
        return self._at_rest()

    def _at_rest(self) -> bool:
        backend = self.backend
        return self.service.at_rest and not (backend.has_next or backend.sending)

    async def _raise_end(self) -> None:
        """Raise what has ended the service, if something has."""
        if self._service is not None and self._service.has_ended:
            await self.stop()
            raise NotRunning("the service under test has ended by itself")

    def _next_due(self) -> float | None:
        dues = (self._clock.next_due, self._broker.delayed.next_due)
        return min((due for due in dues if due is not None), default=None)

    def _move_to(self, when: float) -> None:
        self._clock.move_to(when)
        self._broker.delayed.deliver()

    def _ring(self) -> None:
        self._happened = self._loop.time()
        if not self._bell.done():
            self._bell.set_result(None)

    def _unsettled(self) -> Unsettled:
        now, time = self._loop.time(), self._clock.time()
        lines = list(open_events(self.recorder, now=now, time=time))
        text = "".join(f"\n- {line}" for line in lines) or " what is being sent"
        return Unsettled(f"still open after {self._patience:g} s:{text}")
