"""A handler that emits what nobody takes yet fares as with the listener's own backend."""

import pytest

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.memory import MemoryBackend
from dispytch.probe import Probe
from dispytch.transport import Features, IfUnroutable


class Placed(EventBase):
    __topic__ = "orders"
    __event_type__ = "placed"


class Paid(EventBase):
    __topic__ = "payments.{country}"
    __event_type__ = "paid"

    country: str = "fi"


orders = HandlerGroup("orders", "placed")


@orders.handler()
async def pay(event: Event, emitter: EventEmitter) -> None:
    await emitter.emit(Paid())


def under_test(what: IfUnroutable | None, *elsewhere: str) -> Probe:
    class Backend(MemoryBackend):
        features = Features(durable=True, history=False, shared_order=False, unroutable=what)

    listener = EventListener(Backend(), group="shop")
    listener.add_handler_group(orders)
    return listener.test(read_elsewhere=elsewhere)


@pytest.mark.parametrize("what", [None, "keep", "drop"])
async def test_what_is_kept_or_dropped_is_emitted(what: IfUnroutable | None) -> None:
    async with under_test(what) as probe:
        await probe.emit(Placed())
        await probe.settled()
        assert probe.emitted.of(Paid) == [Paid()]
        assert len(probe.handled) == 1


async def test_what_is_refused_fails_the_handler() -> None:
    async with under_test("error") as probe:
        await probe.emit(Placed())
        await probe.settled()
        [failed] = probe.failed
        assert "nobody reads topic 'payments.fi' in this test" in str(failed.error)
        assert not probe.emitted
        assert [letter.reason for letter in probe.dead_lettered] == ["failed"]


@pytest.mark.parametrize("elsewhere", ["payments.fi", "payments.*"])
async def test_a_topic_that_others_read_is_taken(elsewhere: str) -> None:
    async with under_test("error", elsewhere) as probe:
        await probe.emit(Placed())
        await probe.settled()
        assert probe.emitted.of(Paid) == [Paid()]


async def test_a_topic_that_the_listener_reads_is_taken() -> None:
    group = HandlerGroup()

    @group.handler(topic="payments.*", event="paid")
    async def book(event: Event) -> None:
        """It is enough that it is there."""

    class Backend(MemoryBackend):
        features = Features(
            durable=True, history=False, shared_order=False, wildcards=True, unroutable="error"
        )

    listener = EventListener(Backend(), group="shop")
    listener.add_handler_group(orders)
    listener.add_handler_group(group)
    async with listener.test() as probe:
        await probe.emit(Placed())
        await probe.settled()
        assert len(probe.handled) == 2
