"""A listener that is stopped before it has started."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any
from uuid import uuid4

import pytest

from dispytch import Dependency, EventListener, HandlerGroup
from dispytch.exceptions import BrokerUnreachable, DependencyError
from dispytch.memory import MemoryBackend
from dispytch.transport import Consumer, OnRevoke, Producer, Subscription, Topology

STEPS = ("producer", "app", "prepare", "consumer")


class Gates:
    """Lets a start come as far as one of its steps, and notes what is made and closed."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.log: list[str] = []
        self.reached = asyncio.Event()
        self.held: Callable[[], Awaitable[object]] = asyncio.Event().wait

    async def come_to(self, step: str) -> None:
        if step == self.at and not self.reached.is_set():
            self.reached.set()
            await self.held()
        if step not in self.log:  # Topics are prepared twice: those of dead letters too.
            self.log.append(step)


class GatedBackend(MemoryBackend):
    def __init__(self, gates: Gates) -> None:
        super().__init__(uuid4().hex)
        self._gates = gates

    def producer(self) -> AbstractAsyncContextManager[Producer]:
        return self._gated("producer", super().producer())

    def consumer(
        self, subscription: Subscription, on_revoke: OnRevoke
    ) -> AbstractAsyncContextManager[Consumer]:
        return self._gated("consumer", super().consumer(subscription, on_revoke))

    async def prepare(self, topology: Topology) -> None:
        await self._gates.come_to("prepare")

    @asynccontextmanager
    async def _gated(
        self, step: str, entered: AbstractAsyncContextManager[Any]
    ) -> AsyncGenerator[Any, None]:
        await self._gates.come_to(step)
        async with entered as it:
            try:
                yield it
            finally:
                self._gates.log.append(f"{step} closed")


def listening(gates: Gates, dependency: Callable[..., Any] | None = None) -> EventListener:
    async def pool() -> AsyncIterator[str]:
        await gates.come_to("app")
        yield "pool"
        gates.log.append("app closed")

    group = HandlerGroup(default_topic="orders")
    made = Dependency(dependency or pool, scope="app")

    @group.handler()
    async def handle(pool: Annotated[str, made]) -> None: ...

    listener = EventListener(GatedBackend(gates), group="shop")
    listener.add_handler_group(group)
    return listener


def closed(gates: Gates) -> list[str]:
    """What stays in the log when a start ends before its step: made in order, closed in reverse."""
    made = list(STEPS[: STEPS.index(gates.at)])
    return made + [f"{step} closed" for step in reversed(made) if step != "prepare"]


@pytest.fixture(params=STEPS)
def gates(request: pytest.FixtureRequest) -> Gates:
    return Gates(request.param)


async def test_a_stop_calls_the_start_off_and_closes_what_is_made(gates: Gates) -> None:
    listener = listening(gates)
    async with asyncio.timeout(5):
        listen = asyncio.create_task(listener.listen())
        await gates.reached.wait()
        assert not (await listener.health()).healthy
        await asyncio.gather(*(listener.stop() for _ in range(3)))
        assert gates.log == closed(gates)
        await listen
    assert not listen.cancelled()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_so_does_a_signal(gates: Gates, number: signal.Signals) -> None:
    former = signal.getsignal(number)
    async with asyncio.timeout(5):
        listen = asyncio.create_task(listening(gates).listen())
        await gates.reached.wait()
        os.kill(os.getpid(), number)
        await listen
    assert gates.log == closed(gates)
    assert signal.getsignal(number) is former


async def test_a_context_that_is_stopped_while_it_is_entered_is_entered(gates: Gates) -> None:
    listener = listening(gates)

    async def enter() -> None:
        async with listener:
            await listener.stopped()

    async with asyncio.timeout(5):
        entering = asyncio.create_task(enter())
        await gates.reached.wait()
        await listener.stop()
        await entering
    assert gates.log == closed(gates)


async def test_it_can_be_started_again(gates: Gates) -> None:
    listener = listening(gates)
    async with asyncio.timeout(5):
        listen = asyncio.create_task(listener.listen())
        await gates.reached.wait()
        await listener.stop()
        await listen
        gates.at = ""
        async with listener:
            assert (await listener.health()).healthy


async def test_the_probe_can_be_stopped_while_it_starts() -> None:
    gates = Gates("app")
    async with asyncio.timeout(5):
        probe = listening(gates).test()
        entering = asyncio.create_task(probe.__aenter__())
        await gates.reached.wait()
        # Its context has not been entered; whoever enters it gives up.
        entering.cancel()
        await asyncio.wait({entering})
    assert entering.cancelled()
    assert gates.log == []


async def test_a_stop_before_the_first_step() -> None:
    gates = Gates("")
    listener = listening(gates)
    async with asyncio.timeout(5):
        listen = asyncio.create_task(listener.listen())
        await asyncio.sleep(0)
        await listener.stop()
        await listen
    assert gates.log == []


@pytest.mark.parametrize("turns", range(1, 60))
async def test_a_stop_at_any_turn_of_the_loop(turns: int) -> None:
    gates = Gates("")
    listener = listening(gates)
    async with asyncio.timeout(5):
        listen = asyncio.create_task(listener.listen())
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.stop()
        await listen
    made = [step for step in gates.log if step in ("producer", "app", "consumer")]
    assert gates.log[-len(made) :] == [f"{step} closed" for step in reversed(made)] or not made


async def test_a_step_that_holds_out_ends_it_nevertheless(gates: Gates) -> None:
    async def hold_out() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gates.log.append("held out")

    gates.held = hold_out
    listener = listening(gates)
    async with asyncio.timeout(5):
        listen = asyncio.create_task(listener.listen())
        await gates.reached.wait()
        await listener.stop()
        await listen
    assert "held out" in gates.log
    last = STEPS.index(gates.at)
    assert not set(gates.log) & set(STEPS[last + 1 :])


async def test_a_step_that_fails_of_it_is_logged_and_ends_it(
    gates: Gates, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("half a connection") from None

    gates.held = fail
    listener = listening(gates)
    async with asyncio.timeout(5):
        listen = asyncio.create_task(listener.listen())
        await gates.reached.wait()
        await listener.stop()
        await listen
    assert gates.log == closed(gates)
    assert "half a connection" in caplog.text


async def test_a_failure_is_raised_when_nobody_has_stopped_it(gates: Gates) -> None:
    async def fail() -> None:
        raise BrokerUnreachable("nobody there")

    gates.held = fail
    with pytest.raises((BrokerUnreachable, DependencyError), match="nobody there"):
        await listening(gates).listen()
    assert gates.log == closed(gates)


async def test_who_is_cancelled_while_it_starts_hears_of_it(gates: Gates) -> None:
    listener = listening(gates)
    async with asyncio.timeout(5):
        listen = asyncio.create_task(listener.listen())
        await gates.reached.wait()
        listen.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listen
    assert gates.log == closed(gates)


async def test_what_is_app_scoped_may_stop_the_listener_that_makes_it() -> None:
    gates = Gates("")

    async def give_up() -> AsyncIterator[str]:
        await listener.stop()
        yield "nothing"
        await listener.stop()
        gates.log.append("app closed")

    listener = listening(gates, give_up)
    async with asyncio.timeout(5):
        await listener.listen()
    assert "consumer" not in gates.log
    assert gates.log[-2:] == ["app closed", "producer closed"]


async def test_a_thread_is_waited_for_and_left_to_itself_at_the_second_signal() -> None:
    gates, begun, free = Gates(""), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        free.wait(10)
        return "late"

    group = HandlerGroup(default_topic="orders")

    @group.handler()
    async def handle(
        slow: Annotated[str, Dependency(slow, scope="app", thread=True)],
    ) -> None: ...

    listener = EventListener(GatedBackend(gates), group="shop")
    listener.add_handler_group(group)
    try:
        async with asyncio.timeout(5):
            listen = asyncio.create_task(listener.listen())
            await asyncio.to_thread(begun.wait)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait({listen}, timeout=0.1)
            assert not listen.done()
            os.kill(os.getpid(), signal.SIGTERM)
            await listen
    finally:
        free.set()
