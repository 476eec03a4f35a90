"""What a user's type checker knows of the probe that tests a service; nothing here runs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, assert_type

from events import Order, OrderPlaced, Refund, placed

from dispytch import Batch, Delivery, Event, EventEmitter, EventListener, HandlerGroup
from dispytch.memory import MemoryBackend
from dispytch.testing import (
    DeadLettered,
    Dropped,
    Emission,
    Failed,
    Handled,
    HandledRecords,
    Probe,
    Records,
    Skipped,
    StartProbe,
    Unhandled,
)

orders = HandlerGroup(default_topic="orders")


@orders.handler()
async def ship(event: Event[Order], emitter: EventEmitter) -> int:
    return event.body.number


@orders.handler()
def refund(event: Event[Refund]) -> None: ...


@orders.handler()
async def bare(event: Event) -> None: ...


@orders.handler()
async def of_no_event(delivery: Delivery) -> None: ...


@orders.handler(batch=Batch(5))
async def store(events: list[Event[Order]]) -> None: ...


@orders.handler(batch=Batch(5))
async def keep(events: Sequence[Event[Order]]) -> None: ...


class Placing:
    @orders.handler()
    async def place(self, event: Event[OrderPlaced]) -> None: ...


listener = EventListener("kafka://localhost:9092", group="shop")


def get_session() -> str:
    return "session"


async def handled() -> None:
    async with listener.test() as probe:
        assert_type(probe, Probe)
        assert_type(probe.handled, HandledRecords[Any])
        assert_type(probe.handled[0], Handled[Any])
        assert_type(probe.handled.by(ship), HandledRecords[Order])
        assert_type(probe.handled.by(ship)[0], Handled[Order])
        assert_type(probe.handled.by(ship)[:2], HandledRecords[Order])
        assert_type(probe.handled.by(ship)[0].event, Event[Order])
        assert_type(probe.handled.by(ship)[0].result, object)
        assert_type(probe.handled.by(ship).bodies, list[Order])
        assert_type(probe.handled.by(refund).bodies, list[Refund])
        assert_type(probe.handled.by(store).bodies, list[Order])
        assert_type(probe.handled.by(keep).bodies, list[Order])
        assert_type(probe.handled.by(Placing().place).bodies, list[OrderPlaced])
        assert_type(probe.handled.by(bare).bodies, list[Any])
        assert_type(probe.handled.by(of_no_event).bodies, list[Any])
        assert_type(probe.handled.of(Order).bodies, list[Order])
        probe.handled.by(ship)[0].body.amount  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        probe.handled.by("ship")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def what_else_became_of_events(probe: Probe) -> None:
    assert_type(probe.failed, Records[Failed[Any]])
    assert_type(probe.failed.by(ship)[0].error, Exception)
    assert_type(probe.failed[0].wait, float | None)
    assert_type(probe.skipped.of(Order), Records[Skipped[Any]])
    assert_type(probe.dead_lettered.by(ship), Records[DeadLettered])
    assert_type(probe.dead_lettered[0].event, Event[Any] | None)
    assert_type(probe.dropped, Records[Dropped])
    assert_type(probe.unhandled, Records[Unhandled])
    for letter in probe.dead_lettered:
        assert_type(letter.letter.value, bytes | None)
        assert_type(letter.attempts, int)


async def emitted(probe: Probe) -> None:
    assert_type(probe.emitted[0], Emission)
    assert_type(probe.emitted[0].delay, float | None)
    assert_type(probe.emitted.of(OrderPlaced), list[OrderPlaced])
    assert_type(probe.emitter, EventEmitter)
    probe.emitted.of(Order)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


async def steering(probe: Probe) -> None:
    await probe.emit(placed, delay=timedelta(hours=1))
    await probe.emit_many([placed])
    await probe.send("orders", b"{}", key="1", headers={"type": "order_placed"})
    await probe.redeliver(probe.handled[0].event)
    await probe.settled()
    await probe.advance(timedelta(minutes=1))
    probe.fail(ship, ConnectionError, times=None)
    probe.fail_emits(ConnectionError("no"), of=OrderPlaced)
    assert_type((await probe.health()).in_flight, int)
    assert_type(probe.outcomes.handled, int)
    await probe.emit("placed")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await probe.advance("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    probe.fail(ship, "an error")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    probe.fail_emits(of=Order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def options() -> None:
    listener.overrides[get_session] = lambda: "fake"
    listener.test(overrides={get_session: lambda: "fake"}, clock="manual", patience=1)
    listener.test(clock="fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    listener.test(overrides=[get_session])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_fixtures(dispytch_probe: StartProbe, memory_backend: MemoryBackend) -> None:
    assert_type(await dispytch_probe(listener, clock="manual"), Probe)
    await dispytch_probe("kafka://localhost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    EventEmitter(memory_backend)
