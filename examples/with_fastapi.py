"""A web service that emits events, and handles them: ``uvicorn examples.with_fastapi:app``.

The listener and the emitter live in FastAPI's lifespan; the emitter is a dependency of its routes.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel

from dispytch import Dependency, Event, EventBase, EventEmitter, EventListener, HandlerGroup


class Order(BaseModel):
    """What is ordered."""

    number: int
    item: str


class OrderPlaced(EventBase):
    """Somebody has ordered something."""

    __topic__ = "orders"
    __event_type__ = "order_placed"
    __key__ = "{order.number}"

    order: Order


class OrderEvent(BaseModel):
    """What the handler reads of it."""

    order: Order


class Shop:
    """The orders, and what became of them."""

    def __init__(self) -> None:
        self.status: dict[int, str] = {}


SHOP = Shop()


def get_shop() -> Shop:
    """The shop; routes and handlers share it."""
    return SHOP


# Events.

handlers = HandlerGroup(default_topic="orders")


@handlers.handler(event="order_placed")
async def ship(event: Event[OrderEvent], shop: Annotated[Shop, Dependency(get_shop)]) -> None:
    """Ship an order."""
    shop.status[event.body.order.number] = "shipped"


# The web.

router = APIRouter()


def get_emitter(request: Request) -> EventEmitter:
    """The emitter that the lifespan has connected."""
    emitter: EventEmitter = request.state.emitter
    return emitter


@router.post("/orders", status_code=202)
async def place(
    order: Order,
    emitter: Annotated[EventEmitter, Depends(get_emitter)],
    shop: Annotated[Shop, Depends(get_shop)],
) -> dict[str, str]:
    """Take an order. It is safe with the broker when this answers."""
    event = OrderPlaced(order=order)
    shop.status[order.number] = "placed"
    await emitter.emit(event)
    return {"event": event.__event_id__}


@router.get("/orders/{number}")
async def status(number: int, shop: Annotated[Shop, Depends(get_shop)]) -> dict[str, str]:
    """How far an order is."""
    if number not in shop.status:
        raise HTTPException(404)
    return {"status": shop.status[number]}


@router.get("/health")
async def health(request: Request, response: Response) -> dict[str, Any]:
    """Whether events flow: 503 when the listener has a problem, or has ended."""
    listener: EventListener = request.state.listener
    found = await listener.health()
    response.status_code = 503 if found.problems else 200
    return {"problems": found.problems, "in_flight": found.in_flight}


def create_app(backend: str = "memory") -> FastAPI:
    """The web service on a backend."""
    listener = EventListener(backend, group="shop")
    listener.add_handler_group(handlers)
    emitter = EventEmitter(backend, source="web")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, object], None]:
        async with emitter, listener:
            yield {"emitter": emitter, "listener": listener}

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app


app = create_app()
