"""A listener under test: what a probe shows, and when it says that something is wrong."""

import asyncio
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from dispytch import (
    CloudEvents,
    DeadLetters,
    Dependency,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Idempotent,
    Reject,
    Skip,
)
from dispytch.event_config import EventConfig
from dispytch.exceptions import (
    AlreadyRunning,
    BodyInvalid,
    ConfigurationError,
    DecodeError,
    DependencyError,
    EventHalted,
    InvalidHandler,
    NotRunning,
    UnseenFailure,
    Unsettled,
)
from dispytch.memory.broker import MemoryBroker
from dispytch.messages import Delivery, Message
from dispytch.testing import Probe
from dispytch.transport import Backend, Features, Topology


class OrderPlaced(EventBase):
    __topic__ = "orders"
    __event_type__ = "order_placed"
    __key__ = "{customer}"

    number: int
    customer: str = "Ada"


class OrderPaid(EventBase):
    __topic__ = "orders"
    __event_type__ = "order_paid"

    number: int


class Parcel(EventBase):
    __topic__ = "parcels.{country}"
    __event_type__ = "parcel"

    country: str
    number: int


class Order(BaseModel):
    number: int


class Bank:
    def __init__(self) -> None:
        self.charged: list[int] = []


BANK = Bank()


def get_bank() -> Bank:
    return BANK


orders = HandlerGroup(default_topic="orders")


@orders.handler(event="order_placed")
async def pay(
    event: Event[OrderPlaced],
    emitter: EventEmitter,
    bank: Annotated[Bank, Dependency(get_bank)],
) -> int:
    number = event.body.number
    if number < 0:
        raise Reject("no such order")
    if number == 0:
        raise Skip("nothing to pay")
    bank.charged.append(number)
    await emitter.emit(OrderPaid(number=number))
    return number


@orders.handler(event="order_paid")
async def ship(event: Event[Order], emitter: EventEmitter) -> None:
    await emitter.emit(Parcel(country="uk", number=event.body.number))


async def elsewhere(event: Event[Order]) -> None: ...


class Unreachable(Backend):
    """A backend that fails whoever uses it."""

    features = Features(durable=True, history=True, shared_order=True, attribute_prefixes=("x_",))

    @classmethod
    def from_url(cls, url: str) -> "Unreachable":
        return cls()

    async def ping(self) -> None:
        raise AssertionError

    async def prepare(self, topology: Topology) -> None:
        raise AssertionError

    def producer(self) -> Any:
        raise AssertionError

    def consumer(self, *_: object) -> Any:
        raise AssertionError


def listening(*groups: HandlerGroup, **options: Any) -> EventListener:
    listener = EventListener(Unreachable(), group="shop", **options)
    for group in groups:
        listener.add_handler_group(group)
    return listener


listener = listening(orders)


@pytest.fixture(autouse=True)
def _no_charges() -> None:
    BANK.charged.clear()


async def test_it_shows_what_was_handled_and_emitted_without_the_listeners_broker() -> None:
    async with listener.test() as probe:
        await probe.emit(OrderPlaced(number=1))
        await probe.settled()
        assert probe.emitted.of(OrderPaid) == [OrderPaid(number=1)]
        assert probe.emitted.of(Parcel) == [Parcel(country="uk", number=1)]
        assert probe.emitted.of(OrderPlaced) == []
        [paid] = probe.handled.by(pay)
        assert (paid.handler, paid.result, paid.attempt) == (pay, 1, 1)
        assert paid.body == OrderPlaced(number=1)
        assert probe.handled.by(ship).bodies == [Order(number=1)]
        assert [one.name for one in probe.handled] == [paid.name, probe.handled[1].name]
    assert BANK.charged == [1]


async def test_what_was_seen_stays_readable_and_the_listener_is_left_alone() -> None:
    async with listener.test() as probe:
        await probe.emit_many([OrderPlaced(number=n) for n in range(1, 50)])
    assert len(probe.handled.of(OrderPlaced)) == 49
    assert probe.outcomes.handled == 98
    assert listener.outcomes.handled == 0
    with pytest.raises(NotRunning):
        await listener.stopped()


async def test_each_probe_has_a_broker_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    named: dict[str, MemoryBroker] = {}
    monkeypatch.setattr(MemoryBroker, "_named", named)
    async with listener.test() as one, listener.test() as other:
        await one.emit(OrderPlaced(number=1))
        await one.settled()
        await other.settled()
        assert len(one.handled) == 2
        assert other.handled == []
    assert named == {}


async def test_dependencies_are_overridden_for_one_probe_alone() -> None:
    fake = Bank()
    async with listener.test(overrides={get_bank: lambda: fake}) as probe:
        await probe.emit(OrderPlaced(number=1))
    async with listener.test() as probe:
        await probe.emit(OrderPlaced(number=2))
    assert (fake.charged, BANK.charged) == ([1], [2])
    assert len(listener.overrides) == 0


async def test_the_listeners_own_overrides_count_but_for_those_of_the_probe() -> None:
    own, fake = Bank(), Bank()
    tested = listening(orders)
    tested.overrides[get_bank] = lambda: own
    async with tested.test() as probe:
        await probe.emit(OrderPlaced(number=1))
    async with tested.test(overrides={get_bank: lambda: fake}) as probe:
        await probe.emit(OrderPlaced(number=2))
        await probe.settled()
        await probe.crash()
        await probe.start()
        await probe.emit(OrderPlaced(number=3))
    assert (own.charged, fake.charged, BANK.charged) == ([1], [2, 3], [])


async def test_an_override_of_no_use_is_found_at_the_start() -> None:
    with pytest.raises(DependencyError, match="no handler depends on"):
        async with listener.test(overrides={elsewhere: Bank}):
            pass


async def test_a_dead_letter_is_shown_with_its_error() -> None:
    async with listener.test() as probe:
        await probe.emit(OrderPlaced(number=-1))
        await probe.settled()
        [letter] = probe.dead_lettered.by(pay)
        assert isinstance(letter.error, Reject)
        assert (letter.reason, letter.attempts, letter.handler) == ("rejected", 1, pay)
        assert letter.event is not None
        assert letter.event.body == OrderPlaced(number=-1)
        assert letter.letter.topic == "orders.shop.dead"
        assert letter in probe.dead_lettered.of(OrderPlaced)
        assert probe.dead_lettered.of(OrderPaid) == []
        assert [failed.error for failed in probe.failed] == [letter.error]
        assert "Reject('no such order')" in repr(letter)


async def test_bytes_that_nobody_can_read_are_dead_letters() -> None:
    async with listener.test() as probe:
        await probe.send("orders", b"\xff", key="Ada", headers={"type": "order_placed"})
        await probe.send("orders", "{}", headers={"type": "order_placed"})
        await probe.settled()
        undecodable, invalid = probe.dead_lettered.by(pay)
        assert (undecodable.reason, invalid.reason) == ("undecodable", "invalid")
        assert isinstance(undecodable.error, DecodeError)
        assert isinstance(invalid.error, BodyInvalid)
        assert (undecodable.value, undecodable.key, undecodable.event) == (b"\xff", b"Ada", None)
        assert probe.failed == []


async def test_headers_are_read_as_the_listeners_broker_has_them() -> None:
    headers = {"x_specversion": "1.0", "x_id": "7", "x_type": "order_paid", "x_source": "s"}
    async with listener.test() as probe:
        await probe.send("orders", '{"number": 7}', headers=headers)
        await probe.settled()
        assert [record.event_id for record in probe.handled.by(ship)] == ["7"]


async def test_the_configuration_of_the_listeners_backend_is_read() -> None:
    class Config(EventConfig):
        def templates(self) -> tuple[str, ...]:
            return ()

        def rendered(self, fill: Any) -> "Config":
            return self

    class Configured(Unreachable):
        event_config = Config

    class Known(OrderPaid):
        __backend_config__ = Config()

    tested = EventListener(Configured(), group="shop")
    tested.add_handler_group(orders)
    async with tested.test() as probe:
        await probe.emitter.emit(Known(number=1))
        assert probe.emitted[0].message.config is Known.__backend_config__


async def test_what_is_skipped_dropped_and_passed_over_is_shown() -> None:
    group = HandlerGroup(default_topic="orders")

    @group.handler(event="order_paid", dead_letter="drop")
    async def fail(event: Event[Order]) -> None:
        raise ValueError("no")

    class Unknown(OrderPaid):
        __event_type__ = "unknown"

    async with listening(orders, group).test() as probe:
        await probe.emit_many([OrderPlaced(number=0), OrderPaid(number=1), Unknown(number=2)])
        await probe.settled()
        assert [str(one.reason) for one in probe.skipped.by(pay)] == ["nothing to pay"]
        assert [str(one.error) for one in probe.dropped.by(fail)] == ["no"]
        assert [one.event_type for one in probe.unhandled] == ["unknown"]
        assert probe.unhandled.of(Unknown)
        assert probe.dead_lettered == []


async def test_an_event_that_comes_again_is_the_same_event() -> None:
    async with listening(orders, middlewares=[Idempotent()]).test() as probe:
        placed = OrderPlaced(number=1)
        await probe.emit(placed)
        await probe.settled()
        await probe.redeliver(placed)
        await probe.redeliver(probe.handled.by(ship)[0].event)
        await probe.settled()
        assert len(probe.skipped.by(pay)) == len(probe.skipped.by(ship)) == 1
        assert probe.skipped.by(pay)[0].event_id == placed.__event_id__
    assert BANK.charged == [1]


async def test_a_failure_that_nobody_looked_at_fails_the_test() -> None:
    with pytest.raises(
        UnseenFailure, match=r"<DeadLettered order_placed .*no such order"
    ) as caught:
        async with listener.test() as probe:
            await probe.emit(OrderPlaced(number=-1))
    assert isinstance(caught.value.__cause__, Reject)


async def test_looking_counts_for_what_had_happened_by_then() -> None:
    with pytest.raises(UnseenFailure, match="1 given up"):  # noqa: PT012
        async with listener.test() as probe:
            await probe.emit(OrderPlaced(number=-1))
            await probe.settled()
            assert probe.failed
            await probe.emit(OrderPlaced(number=-2))


async def test_the_error_of_a_test_says_what_went_wrong_in_the_service() -> None:
    with pytest.raises(AssertionError) as caught:  # noqa: PT012
        async with listener.test() as probe:
            await probe.emit(OrderPlaced(number=-1))
            await probe.settled()
            assert probe.emitted.of(OrderPaid) == [OrderPaid(number=-1)]
    assert "given up meanwhile: <DeadLettered order_placed" in caught.value.__notes__[0]


async def test_what_does_not_end_is_named() -> None:
    group = HandlerGroup(default_topic="orders")

    @group.handler(event="order_paid")
    async def stuck(event: Event[Order]) -> None:
        await asyncio.Event().wait()

    class Keyed(OrderPaid):
        __key__ = "Ada"

    probe = listening(group, concurrency=1).test(patience=0.05)
    with pytest.raises(Unsettled) as caught:
        async with probe:
            await probe.emit_many([Keyed(number=1), Keyed(number=2)])
    text = str(caught.value)
    assert "still open after 0.05 s" in text
    assert "stuck has been running for 0." in text
    assert "on 'orders', key 'Ada': it waits behind another event" in text


async def test_what_was_open_before_a_crash_is_named_once() -> None:
    group = HandlerGroup(default_topic="orders")

    @group.handler(event="order_paid")
    async def stuck(event: Event[Order]) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Unsettled) as caught:  # noqa: PT012
        async with listening(group).test(patience=0.05) as probe:
            await probe.emit(OrderPaid(number=1))
            with pytest.raises(Unsettled):
                await probe.settled()
            await probe.crash()
            await probe.start()
            await probe.settled()
    assert str(caught.value).count("\n- ") == 1


async def test_emitted_events_are_told_apart_by_their_topic() -> None:
    class Letter(Parcel):
        __topic__ = "letters.{country}"

    async with listener.test() as probe:
        await probe.emitter.emit_many(
            [Parcel(country="uk", number=1), Letter(country="uk", number=2)]
        )
        assert [one.number for one in probe.emitted.of(Parcel)] == [1]
        assert [one.number for one in probe.emitted.of(Letter)] == [2]


async def test_a_halted_service_ends_the_test() -> None:
    with pytest.raises(EventHalted, match="no such order"):  # noqa: PT012
        async with listening(orders, dead_letter="halt").test() as probe:
            await probe.emit(OrderPlaced(number=-1))
            await probe.settled()


async def test_events_that_nobody_reads_are_a_mistake_of_the_test() -> None:
    async with listener.test() as probe:
        with pytest.raises(ConfigurationError, match=r"no handler reads topic 'parcels\.uk'"):
            await probe.emit(Parcel(country="uk", number=1))
        with pytest.raises(ConfigurationError, match="they read: orders"):
            await probe.send("ordres", b"")


async def test_handlers_that_are_not_the_listeners_are_a_mistake_of_the_test() -> None:
    async with listener.test() as probe:
        with pytest.raises(ConfigurationError, match="elsewhere"):
            probe.handled.by(elsewhere)
        with pytest.raises(ConfigurationError, match="elsewhere"):
            probe.fail(elsewhere, ValueError)


async def test_wrong_wiring_is_found_at_the_start() -> None:
    group = HandlerGroup()

    @group.handler(event="order_paid")
    async def homeless(event: Event[Order]) -> None: ...

    with pytest.raises(InvalidHandler, match="homeless has no topic"):
        async with listening(group).test():
            pass


async def test_a_probe_is_entered_once_and_used_inside() -> None:
    probe: Probe = listener.test()
    with pytest.raises(NotRunning, match="async with"):
        await probe.settled()
    async with probe:
        pass
    with pytest.raises(AlreadyRunning, match="for each test"):
        async with probe:
            pass


@pytest.mark.parametrize("options", [{"clock": "fast"}, {"patience": 0}])
def test_settings_that_make_no_sense_are_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        listener.test(**options)


async def test_code_beside_the_handlers_gets_an_emitter_and_a_backend() -> None:
    async with listener.test() as probe:
        await probe.emitter.emit(OrderPlaced(number=-1))
        await probe.settled()
        assert probe.emitted.of(OrderPlaced) == [OrderPlaced(number=-1)]
        assert len(probe.dead_lettered) == 1
        async with EventEmitter(probe.backend) as emitter:
            await emitter.emit(OrderPaid(number=2))
        letters = DeadLetters(probe.backend, topic="orders", group="shop")
        assert len(await letters.read()) == 1
        assert probe.unhandled == []
        assert len(probe.emitted.of(OrderPaid)) == 1


async def test_what_only_a_reader_cannot_read_is_sent_all_the_same() -> None:
    def type_of(delivery: Delivery) -> str:
        return str(delivery.value.index(b"{"))  # type: ignore[union-attr]

    unreadable = [
        Message("elsewhere", b"x", headers=[("CE_specversion", b"1.0"), ("ce-type", b"\xff")]),
        Message("elsewhere", b"[]", headers=[("content-type", b"application/cloudevents+json")]),
        Message("elsewhere", b"x"),
        Message("elsewhere", None),
    ]
    async with listening(orders, wire=CloudEvents(type_of=type_of)).test() as probe:
        probe.fail_emits(of=OrderPaid)
        async with probe.backend.producer() as producer:
            await producer.send(unreadable)
        assert [one.message for one in probe.emitted] == unreadable
        assert [one.event_type for one in probe.emitted] == [None] * len(unreadable)
        assert probe.emitted.of(OrderPlaced) == []
        assert "elsewhere" in repr(probe.emitted)


async def test_a_reading_without_types_or_wire_is_the_listeners() -> None:
    wire = CloudEvents(type_of=lambda delivery: "order_paid")
    async with listening(orders, wire=wire).test() as probe:
        await probe.send("orders", '{"number": 3}')
        await probe.settled()
        assert probe.handled.by(ship).bodies == [Order(number=3)]


async def test_health_is_the_services() -> None:
    async with listener.test() as probe:
        assert (await probe.health()).healthy
