"""Faults that a test asks for."""

import asyncio
from typing import Any

import pytest

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.exceptions import (
    AlreadyRunning,
    BrokerUnreachable,
    ConfigurationError,
    NotRunning,
    SendTimeout,
)


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"

    number: int = 1


class Paid(EventBase):
    __topic__ = "payments"
    __event_type__ = "paid"

    number: int = 1


class Noted(Paid):
    __event_type__ = "noted"


orders = HandlerGroup("orders", "placed")


@orders.handler(retries=2, retry_interval=60)
async def pay(event: Event[Placed], emitter: EventEmitter) -> None:
    await emitter.emit(Noted(number=event.body.number))
    await emitter.emit(Paid(number=event.body.number))


listener = EventListener("memory://", group="shop")
listener.add_handler_group(orders)


async def test_a_handler_fails_as_often_as_the_test_asks() -> None:
    async with listener.test() as probe:
        probe.fail(pay, ConnectionError("down"), times=2)
        await probe.emit(Placed())
        await probe.settled()
        assert [str(failed.error) for failed in probe.failed] == ["down", "down"]
        assert [handled.attempt for handled in probe.handled] == [3]
        assert probe.emitted.of(Paid) == [Paid()]


async def test_a_handler_fails_always() -> None:
    async with listener.test() as probe:
        probe.fail(pay, ConnectionError, times=None)
        await probe.emit_many([Placed(number=1), Placed(number=2)])
        await probe.settled()
        assert [letter.attempts for letter in probe.dead_lettered] == [3, 3]
        assert probe.emitted == []


async def test_what_the_test_asked_for_need_not_be_looked_at() -> None:
    async with listener.test() as probe:
        probe.fail(pay, ConnectionError, times=3)
        await probe.emit(Placed())
        await probe.settled()
    assert len(probe.dead_lettered) == 1


async def test_emits_of_the_service_are_refused() -> None:
    async with listener.test() as probe:
        probe.fail_emits(of=Paid)
        await probe.emit(Placed())
        await probe.settled()
        [failed] = probe.failed
        assert isinstance(failed.error, BrokerUnreachable)
        assert probe.emitted.of(Noted) == [Noted(), Noted()]
        assert probe.emitted.of(Paid) == [Paid()]


async def test_emits_are_refused_with_the_error_that_is_given() -> None:
    async with listener.test() as probe:
        probe.fail_emits(SendTimeout("late"), times=2)
        await probe.emit(Placed())
        await probe.settled()
        assert [str(failed.error) for failed in probe.failed] == ["late", "late"]
        assert len(probe.handled) == 1


async def test_dead_letters_are_refused_and_tried_again() -> None:
    async with listener.test(clock="manual") as probe:
        probe.fail(pay, ConnectionError, times=None)
        probe.fail_dead_letters(times=3)
        await probe.emit(Placed())
        await probe.settled()
        await probe.advance(120)
        assert probe.dead_lettered == []
        assert probe.outcomes.unsent == 1
        await probe.advance(60)
        assert len(probe.dead_lettered) == 1
        assert probe.outcomes.unsent == 3


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (lambda probe: probe.fail(pay, "no"), "an exception or its class"),
        (lambda probe: probe.fail(pay, ValueError, times=0), "once or more often"),
        (lambda probe: probe.fail_emits(ValueError), "TransportError"),
    ],
)
async def test_faults_that_make_no_sense_are_refused(fault: Any, text: str) -> None:
    async with listener.test() as probe:
        with pytest.raises(ConfigurationError, match=text):
            fault(probe)


class Gate:
    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = asyncio.Event()
        self.group = HandlerGroup("orders", "placed")
        self.enter = self.group.handler()(self._enter)
        self.listener = EventListener("memory://", group="shop", drain_timeout=5)
        self.listener.add_handler_group(self.group)

    async def _enter(self, event: Event[Placed]) -> None:
        self.inside.set()
        await self.open.wait()


async def test_what_a_crash_cut_off_comes_again() -> None:
    gate = Gate()
    async with gate.listener.test() as probe:
        await probe.emit(Placed())
        await gate.inside.wait()
        await probe.crash()
        with pytest.raises(NotRunning, match="start"):
            await probe.settled()
        assert probe.handled == []
        gate.open.set()
        await probe.start()
        await probe.settled()
        assert len(probe.handled) == 1
        with pytest.raises(AlreadyRunning):
            await probe.start()


async def test_a_stop_lets_handlers_finish_and_a_start_goes_on() -> None:
    gate = Gate()
    async with gate.listener.test() as probe:
        await probe.emit(Placed(number=1))
        await gate.inside.wait()
        stopping = asyncio.create_task(probe.stop())
        await asyncio.sleep(0)
        gate.open.set()
        await stopping
        assert [one.body.number for one in probe.handled] == [1]
        await probe.emit(Placed(number=2))
        await probe.start()
        await probe.settled()
        assert [one.body.number for one in probe.handled] == [1, 2]


async def test_retries_that_waited_at_a_crash_begin_anew() -> None:
    async with listener.test(clock="manual") as probe:
        probe.fail(pay, ConnectionError)
        await probe.emit(Placed())
        await probe.settled()
        await probe.crash()
        await probe.start()
        await probe.settled()
        assert [one.attempt for one in probe.handled] == [1]


async def test_leaving_a_stopped_probe_is_no_mistake() -> None:
    async with listener.test() as probe:
        await probe.stop()
