"""What a user's type checker knows of handlers, groups and listeners; nothing here runs."""

from datetime import timedelta
from typing import Any, assert_type

from events import Order

from dispytch import (
    CircuitBreaker,
    DeadLetterTopic,
    Event,
    EventListener,
    HandlerGroup,
    Health,
    Idempotent,
    Reject,
    RetryAfter,
    RetryPolicy,
)
from dispytch.middleware import (
    ConcurrencyLimit,
    Filter,
    Log,
    Middleware,
    Next,
    RateLimit,
    Run,
    Timing,
    map_exceptions,
)

orders = HandlerGroup(default_topic="orders", prefix="eu.", dead_letter="drop")


@orders.handler(topic="orders", event="order_placed", retries=2, retry_on=(OSError, ValueError))
async def ship(event: Event[Order], times: int = 1) -> str:
    return "shipped"


@orders.handler(retry=RetryPolicy(attempts=3, delay=0.5), dead_letter=DeadLetterTopic(), timeout=5)
def count() -> int:
    return 1


async def decorated_functions_stay_what_they_are(event: Event[Order]) -> None:
    assert_type(await ship(event), str)
    assert_type(count(), int)
    await ship("no event")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await ship()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


orders.handler(topic=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
orders.handler(retry_on=str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
orders.handler(retry="often")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
orders.handler(dead_letter="lose")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
orders.handler(middlewares=[5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
orders.handler(retires=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def timed(event: Event[Any], call_next: Next) -> Any:
    return await call_next(event)


class Audit:
    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        return await call_next(event)


def not_async(event: Event[Any], call_next: Next) -> None: ...


function: Middleware = timed
instance: Middleware = Audit()
wrong: Middleware = not_async  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def is_wanted(event: Event[Any]) -> bool:
    return event.key is not None


def report(run: Run) -> None:
    assert_type(run.seconds, float)
    assert_type(run.error, BaseException | None)


shipped_with_dispytch: list[Middleware] = [
    timed,
    Audit(),
    Log(slow=2.0),
    Timing(report),
    Filter(lambda event: event.attempt == 1),
    Filter(is_wanted),
    RateLimit(5, per=timedelta(minutes=1), burst=2, key=lambda event: event.key),
    ConcurrencyLimit(2, key=lambda event: event.handler),
    map_exceptions({TimeoutError: RetryAfter(5), ValueError: Reject, OSError: lambda error: error}),
    Idempotent(ttl=timedelta(hours=6)),
]
orders.handler(middlewares=shipped_with_dispytch)

RateLimit("often")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ConcurrencyLimit()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
map_exceptions({ValueError: 5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]

listener = EventListener(
    "kafka://localhost:9092",
    group="billing",
    ordering="partition",
    middlewares=[timed, Audit()],
    circuit_breaker=CircuitBreaker(failures=5),
    unhandled="ignore",
)
listener.add_handler_group(orders)

EventListener("kafka://localhost:9092")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
EventListener(
    "kafka://localhost:9092",
    group="billing",
    ordering="random",  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
)


async def running() -> None:
    async with listener as same:
        assert_type(same, EventListener)
        assert_type(await listener.health(), Health)
        assert_type(listener.outcomes.handled, int)
