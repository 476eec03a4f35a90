"""What happens in the shop. The service emits these events, and handles them too."""

from uuid import uuid4

from dispytch import EventBase

# Every run has a topic and a group of its own, so that it never meets the orders of another one.
# A real service has fixed names: "orders", "shop".
RUN = uuid4().hex[:8]
TOPIC = f"orders.{RUN}"
GROUP = f"shop.{RUN}"


class OrderPlaced(EventBase):
    """Somebody wants to buy something."""

    __topic__ = TOPIC
    __event_type__ = "order_placed"
    __key__ = "{customer}"

    number: int
    customer: str
    item: str
    price: float


class OrderPaid(EventBase):
    """The money is there."""

    __topic__ = TOPIC
    __event_type__ = "order_paid"
    __key__ = "{customer}"

    number: int
    customer: str
    item: str
