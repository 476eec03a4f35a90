"""Dependencies from a dishka container: ``python -m examples.with_dishka``.

The app container is made when the listener starts and closed when it stops; every run of a handler
has a request container of its own, which sees the handler's exception.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from inspect import Parameter
from typing import Annotated, ParamSpec, TypeVar

from dishka import (
    AsyncContainer,
    FromDishka,
    Provider,
    Scope,
    from_context,
    make_async_container,
    provide,
)
from dishka.integrations.base import wrap_injection
from pydantic import BaseModel

from dispytch import Dependency, Event, EventBase, EventEmitter, EventListener, HandlerGroup

P = ParamSpec("P")
R = TypeVar("R")

# The bridge: two dependencies and a decorator.


async def app_container() -> AsyncGenerator[AsyncContainer, None]:
    """The container of the service."""
    container = make_async_container(Shop())
    yield container
    await container.close()


async def event_container(
    event: Event, app: Annotated[AsyncContainer, Dependency(app_container, scope="app")]
) -> AsyncGenerator[AsyncContainer, None]:
    """The container of one run of a handler; it may ask for the event."""
    async with app({Event: event}) as container:
        yield container


CONTAINER = Parameter(
    "dishka_container",
    Parameter.KEYWORD_ONLY,
    annotation=Annotated[AsyncContainer, Dependency(event_container)],
)


def inject(handler: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Have dishka provide the parameters of an async handler that are marked ``FromDishka``."""
    return wrap_injection(
        func=handler,
        container_getter=lambda args, kwargs: kwargs[CONTAINER.name],
        additional_params=[CONTAINER],
        is_async=True,
    )


# The service: its providers, and a handler.


class OrderPlaced(EventBase):
    """Somebody has ordered something."""

    __topic__ = "orders"
    __event_type__ = "order_placed"

    number: int


class Order(BaseModel):
    """What the handler reads of it."""

    number: int


class Ledger:
    """What was committed, for as long as the service runs."""

    def __init__(self) -> None:
        self.numbers: list[int] = []


class Session:
    """What one run of a handler writes to the ledger, in the end or never."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._numbers: list[int] = []

    def write(self, number: int) -> None:
        """Keep a number for the end."""
        self._numbers.append(number)

    def end(self, error: Exception | None) -> None:
        """Commit, or roll back."""
        if error is not None:
            print("rolled back:", error)
            return
        self._ledger.numbers += self._numbers


class Orders:
    """The orders of one session."""

    def __init__(self, session: Session, event: Event) -> None:
        self._session = session
        self._source = event.source

    def add(self, number: int) -> None:
        """Take an order."""
        self._session.write(number)
        if number == 2:
            raise ValueError(f"order {number} from {self._source} is refused")


class Shop(Provider):
    """What the service is made of."""

    event = from_context(Event, scope=Scope.REQUEST)
    orders = provide(Orders, scope=Scope.REQUEST)

    @provide(scope=Scope.APP)
    async def ledger(self) -> AsyncGenerator[Ledger, None]:
        """One for the whole service."""
        ledger = Ledger()
        yield ledger
        print("committed:", sorted(ledger.numbers))

    @provide(scope=Scope.REQUEST)
    async def session(self, ledger: Ledger) -> AsyncGenerator[Session, Exception | None]:
        """A session that knows how its run has ended."""
        session = Session(ledger)
        session.end((yield session))


shop = HandlerGroup(default_topic="orders", default_event="order_placed")


@shop.handler(dead_letter="drop")
@inject
async def place(event: Event[Order], orders: FromDishka[Orders]) -> None:
    """Take an order."""
    orders.add(event.body.number)


async def main(backend: str = "memory") -> None:
    """Place three orders, and handle them."""
    listener = EventListener(backend, group="shop")
    listener.add_handler_group(shop)
    async with listener, EventEmitter(backend, source="the counter") as emitter:
        await emitter.emit_many(OrderPlaced(number=n) for n in (1, 2, 3))
        while listener.outcomes.handled + listener.outcomes.dropped < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main())
