"""What dependencies take from a broker's message, and how long they live, on every backend."""

import asyncio
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel

from dispytch import (
    DeadLetters,
    Delivery,
    Dependency,
    Event,
    EventBase,
    EventEmitter,
    EventListener,
    HandlerGroup,
    Header,
    TopicSegment,
    provides,
)
from dispytch.kafka import KafkaEventConfig
from dispytch.middleware import Next
from dispytch.rabbitmq import RabbitMQEventConfig


class Tenant(str): ...


class Pool:
    """Remembers what was done with it, and in which order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.rows: list[tuple[Any, ...]] = []


class Body(BaseModel):
    number: int


@provides(Tenant)
async def with_tenant(event: Event[Any], call_next: Next, /) -> Any:
    event.provide(Tenant, Tenant(f"tenant {event.key}"))
    return await call_next(event)


def placed(topic: str, count: str) -> type[EventBase]:
    """An event class whose messages have the header ``x-count``, where the broker's have any."""

    class Placed(EventBase):
        __topic__ = topic
        __event_type__ = "placed"
        __key__ = "{number}"
        __backend_config__ = (
            KafkaEventConfig(headers={"x-count": count}),
            RabbitMQEventConfig(headers={"x-count": count}),
        )

        number: int

    return Placed


async def test_what_a_handler_asks_for_it_gets(broker_url: str, unique: str) -> None:
    topic, pool = f"deps-{unique}", Pool()
    group = HandlerGroup(default_topic=topic, middlewares=[with_tenant])

    async def make_pool(emitter: EventEmitter) -> AsyncGenerator[Pool, None]:
        pool.log.append(f"made with {type(emitter).__name__}")
        yield pool
        pool.log.append("closed")

    @group.handler(retries=3)
    async def handle(
        event: Event[Body],
        delivery: Delivery,
        tenant: Tenant,
        pool: Annotated[Pool, Dependency(make_pool, scope="app")],
        content_type: Annotated[str, Header()],
        x_count: Annotated[int, Header()] = 0,
    ) -> None:
        pool.rows.append((event.body.number, tenant, content_type, x_count, delivery.topic))
        pool.log.append("handled")

    listener = EventListener(broker_url, group=f"deps-{unique}")
    listener.add_handler_group(group)
    async with listener, EventEmitter(broker_url) as emitter:
        assert pool.log == ["made with EventEmitter"]
        await emitter.emit(placed(topic, "7")(number=1))
        await emitter.emit(placed(topic, "many")(number=2))
        async with asyncio.timeout(60):
            while listener.outcomes.handled + listener.outcomes.dead_lettered < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    in_memory = broker_url.startswith("memory")
    assert (1, "tenant 1", "application/json", 0 if in_memory else 7, topic) in pool.rows
    assert (pool.log[0], pool.log[-1]) == ("made with EventEmitter", "closed")
    if in_memory:
        # Its messages have no headers but those of the envelope.
        assert len(pool.rows) == 2
        return
    [letter] = await DeadLetters(broker_url, topic=topic, group=f"deps-{unique}").read()
    assert (letter.reason, letter.attempts) == ("invalid", 1)
    assert "ParameterInvalid: header 'x-count' is refused" in letter.error
    assert len(pool.rows) == 1


TENANT: ContextVar[str] = ContextVar("tenant")


class Seat(BaseModel):
    number: int


class Booking(BaseModel):
    seat: Seat


class Session:
    def __init__(self, seat: Annotated[int, TopicSegment()]) -> None:
        self.seat = seat
        self.lines: list[str] = []


async def test_each_form_of_dependency_and_what_it_sees_of_its_event(
    broker_url: str, unique: str
) -> None:
    sessions: dict[int, list[str]] = {}
    handlers = HandlerGroup(prefix=f"seats-{unique}.")

    class Booked(EventBase):
        __topic__ = f"seats-{unique}.{{seat.number}}.booked"
        __event_type__ = "booked"
        __key__ = "{seat.number}"

        seat: Seat

    def connect() -> list[str]:
        raise AssertionError("there is no database here")

    async def transaction(
        session: Annotated[Session, Dependency(Session)],
    ) -> AsyncGenerator[list[str], None]:
        token = TENANT.set(f"tenant {session.seat}")
        sessions[session.seat] = session.lines
        try:
            yield session.lines
        except LookupError as error:
            session.lines.append(f"rolled back: {error}")
            raise
        else:
            session.lines.append("committed")
        finally:
            TENANT.reset(token)

    def label(prefix: str, event: Event[Booking]) -> str:
        return f"{prefix} {event.body.seat.number}"

    @handlers.handler(topic="{seat}.booked")
    async def book(
        event: Event[Booking],
        lines: Annotated[list[str], Dependency(connect)],
        session: Annotated[Session, Dependency(Session)],
        label: Annotated[str, Dependency(partial(label, "seat"))],
    ) -> None:
        assert lines is session.lines, "it is made once for a run"
        lines.append(f"{label} for {TENANT.get()}")
        if event.body.seat.number == 2:
            raise LookupError("taken")

    url = f"{broker_url}?metadata_max_age=0.5" if broker_url.startswith("kafka") else broker_url
    listener = EventListener(url, group=f"seats-{unique}")
    listener.add_handler_group(handlers)
    listener.overrides[connect] = transaction
    async with listener, EventEmitter(url) as emitter:
        await emitter.emit_many([Booked(seat=Seat(number=number)) for number in (1, 2, 3)])
        async with asyncio.timeout(60):
            while listener.outcomes.handled + listener.outcomes.dead_lettered < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert sessions == {
        1: ["seat 1 for tenant 1", "committed"],
        2: ["seat 2 for tenant 2", "rolled back: taken"],
        3: ["seat 3 for tenant 3", "committed"],
    }
    assert (listener.outcomes.handled, listener.outcomes.dead_lettered) == (2, 1)
