"""The shop, tested. Its listener is made for Kafka; nothing is connected."""

from collections.abc import AsyncIterator

import pytest

from dispytch import EventListener
from dispytch.testing import Probe

from ..orders.events import GROUP, OrderPaid, OrderPlaced
from ..orders.handlers import orders, ship, take_payment
from ..orders.services import CardDeclined, ProviderBusy, get_payments, get_warehouse

listener = EventListener("kafka://broker.internal:9092", group=GROUP)
listener.add_handler_group(orders)


@pytest.fixture
async def probe() -> AsyncIterator[Probe]:
    get_payments.cache_clear()
    get_warehouse.cache_clear()
    async with listener.test() as probe:
        yield probe


async def test_an_order_is_paid_and_shipped(probe: Probe) -> None:
    await probe.emit(OrderPlaced(number=1, customer="Ada", item="lamp", price=39))
    await probe.settled()

    assert probe.emitted.of(OrderPaid) == [OrderPaid(number=1, customer="Ada", item="lamp")]
    assert get_warehouse().shipped == [1]


async def test_a_busy_provider_is_asked_again(probe: Probe) -> None:
    await probe.emit(OrderPlaced(number=2, customer="Grace", item="mug", price=9.8))
    await probe.settled()

    assert [type(failed.error) for failed in probe.failed.by(take_payment)] == [ProviderBusy]
    assert get_payments().receipts == [2]


async def test_a_declined_card_is_a_dead_letter_at_once(probe: Probe) -> None:
    await probe.emit(OrderPlaced(number=3, customer="Mallory", item="yacht", price=1e6))
    await probe.settled()

    [letter] = probe.dead_lettered.by(take_payment)
    assert isinstance(letter.error, CardDeclined)
    assert letter.attempts == 1
    assert not probe.handled.by(ship)


async def test_an_order_that_comes_twice_is_paid_twice(probe: Probe) -> None:
    """Delivery is at least once: a real shop would put `Idempotent` around this handler."""
    order = OrderPlaced(number=4, customer="Ada", item="chair", price=120)
    await probe.emit(order)
    await probe.redeliver(order)
    await probe.settled()

    assert get_payments().receipts == [4, 4]
