"""What the handlers depend on: stand-ins for the payment provider and the warehouse."""

from functools import cache


class ProviderBusy(Exception):
    """The payment provider gave no answer; it may do so the next time."""


class CardDeclined(Exception):
    """The payment provider said no, and will not change its mind."""


class Payments:
    """A payment provider that is busy when Grace pays, and does not trust Mallory."""

    def __init__(self) -> None:
        self.receipts: list[int] = []
        self._asked: set[int] = set()

    async def charge(self, order: int, customer: str, price: float) -> None:
        """Take the money.

        Raises:
            ProviderBusy: ask again.
            CardDeclined: do not.
        """
        first_time = order not in self._asked
        self._asked.add(order)
        if customer == "Grace" and first_time:
            raise ProviderBusy(f"no answer about order {order}")
        if customer == "Mallory":
            raise CardDeclined(f"the bank refuses {price:.2f} for order {order}")
        self.receipts.append(order)


class Warehouse:
    """Where the parcels leave."""

    def __init__(self) -> None:
        self.shipped: list[int] = []

    async def ship(self, order: int) -> None:
        """Send the parcel."""
        self.shipped.append(order)


@cache
def get_payments() -> Payments:
    """The payment provider, the same one for every event."""
    return Payments()


@cache
def get_warehouse() -> Warehouse:
    """The warehouse, the same one for every event."""
    return Warehouse()
