"""Where the tests of the conformance kit play."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar

import pytest

from dispytch import Event, EventEmitter, EventListener, HandlerGroup
from dispytch.backends import backend_from
from dispytch.testing.conformance.events import EVENT_TYPE, Counted, Ledger
from dispytch.testing.transport import Scene
from dispytch.transport import Backend

RestartBroker = Callable[[], Awaitable[None]]
"""Ends the broker, as hard as its author likes, and returns once it answers again."""

Handler = Callable[[Event[Counted]], Awaitable[None]]


class Setting(Scene):
    """A broker's particulars, and what the tests build services of.

    Beside those of the transport contract:

    duplicates: how many events one crash, of a service or of the broker, may make come again. A
        graceful end may make none.
    window: how many events the services that crash have in flight.
    """

    duplicates: ClassVar[int] = 200
    window: ClassVar[int] = 50

    @pytest.fixture
    def url(self) -> str:
        """Where the broker is; other processes open the same."""
        raise AssertionError(f"{type(self).__name__} needs a fixture 'url': the broker's URL")

    @pytest.fixture
    def backend(self, url: str) -> Backend:
        """The backend that the URL asks for."""
        return backend_from(url)

    @pytest.fixture
    def restart_broker(self) -> RestartBroker | None:
        """How to restart the broker; None where the tests may not."""
        return None

    def behind_unsettled(self, backend: Backend) -> int:
        """How many events may come again that were handled behind one that was left unsettled."""
        return self.window if backend.features.position_per_stream else 0

    def service(
        self,
        backend: Backend,
        group: str,
        topic: str,
        *handlers: Handler | HandlerGroup,
        **options: Any,
    ) -> EventListener:
        """A listener of this topic; ``options`` are the listener's."""
        options.setdefault("drain_timeout", self.patience)
        listener = EventListener(backend, group=group, **options)
        for handler in handlers:
            if isinstance(handler, HandlerGroup):
                listener.add_handler_group(handler)
                continue
            alone = HandlerGroup(default_topic=topic, default_event=EVENT_TYPE)
            alone.handler()(handler)
            listener.add_handler_group(alone)
        return listener

    async def emit(self, backend: Backend, events: Iterable[Counted]) -> None:
        """Emit them, 500 in a batch."""
        batch = list(events)
        async with EventEmitter(backend) as emitter:
            for start in range(0, len(batch), 500):
                await emitter.emit_many(batch[start : start + 500])

    async def handled(self, ledger: Ledger, count: int) -> None:
        """Wait until so many different events were handled."""
        await self.until(lambda: len(set(ledger.handled)) >= count, f"{count} handled events")


def noting(ledger: Ledger, pause: float = 0.0) -> Handler:
    """A handler that notes what it gets, and takes so many seconds for it."""

    async def note(event: Event[Counted]) -> None:
        with ledger.run(event):
            await asyncio.sleep(pause)

    return note


def needs(met: bool, what: str) -> None:
    """Skip the test unless the backend declares what it is about."""
    if not met:
        pytest.skip(what)
