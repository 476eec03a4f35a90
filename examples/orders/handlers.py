"""What the service does when something happens in the shop."""

import logging
from typing import Annotated

from dispytch import Dependency, Event, EventEmitter, HandlerGroup

from .events import TOPIC, OrderPaid, OrderPlaced
from .services import Payments, ProviderBusy, Warehouse, get_payments, get_warehouse

logger = logging.getLogger("orders")

orders = HandlerGroup(default_topic=TOPIC)


@orders.handler(
    event="order_placed",
    retries=3,
    retry_on=ProviderBusy,
    retry_interval=0.3,
)
async def take_payment(
    event: Event[OrderPlaced],
    payments: Annotated[Payments, Dependency(get_payments)],
    emitter: EventEmitter,
) -> None:
    """Charge the customer. A busy provider is asked again, a declined card is a dead letter."""
    order = event.body
    await payments.charge(order.number, order.customer, order.price)
    logger.info("order %d: %s paid, attempt %d", order.number, order.customer, event.attempt)
    await emitter.emit(OrderPaid(number=order.number, customer=order.customer, item=order.item))


@orders.handler(event="order_paid")
async def ship(
    event: Event[OrderPaid],
    warehouse: Annotated[Warehouse, Dependency(get_warehouse)],
) -> None:
    """Send the parcel."""
    order = event.body
    await warehouse.ship(order.number)
    logger.info("order %d: a %s is on its way to %s", order.number, order.item, order.customer)
