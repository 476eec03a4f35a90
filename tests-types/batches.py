"""What a user's type checker knows of batch handlers; nothing here runs."""

from collections.abc import Sequence
from typing import Any, assert_type

from events import Order, Refund

from dispytch import Batch, BatchFailed, BatchMiddleware, Event, EventEmitter, HandlerGroup, Reject
from dispytch.middleware import (
    ConcurrencyLimit,
    Filter,
    Idempotent,
    Log,
    Middleware,
    Next,
    NextBatch,
    RateLimit,
    Timing,
    map_exceptions,
)

imports = HandlerGroup(default_topic="imports")


@imports.handler(batch=Batch(100))
async def insert(events: list[Event[Order]], emitter: EventEmitter) -> None:
    assert_type(events[0], Event[Order])
    assert_type([event.body.number for event in events], list[int])
    failures = {index: Reject("no") for index, event in enumerate(events) if event.attempt > 1}
    if failures:
        error = BatchFailed(failures)
        assert_type(error.failures, dict[int, Exception])
        raise error


@imports.handler(batch=Batch(100, wait=0, by="key"))
def count(events: Sequence[Event[Order | Refund]]) -> None:
    for event in events:
        assert_type(event.body, Order | Refund)


async def batch_handlers_can_be_called_by_tests(events: list[Event[Order]]) -> None:
    await insert(events, EventEmitter("memory"))
    await insert(events[0], EventEmitter("memory"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await insert(events)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    count(events)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


Batch()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Batch("many")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Batch(100, by="tenant")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Batch(100).size = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
BatchFailed([ValueError()])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
BatchFailed({"first": ValueError()})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
BatchFailed({0: KeyboardInterrupt()})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
imports.handler(batch=100)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Counted:
    async def __call__(self, event: Event[Any], call_next: Next, /) -> Any:
        return await call_next(event)

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        return await call_next(events[:10])


async def one_by_one(event: Event[Any], call_next: Next) -> Any:
    return await call_next(event)


around_both: BatchMiddleware = Counted()
around_one: Middleware = around_both
shipped: list[BatchMiddleware] = [Log(), Timing(print), Filter(bool), Idempotent()]
limits: list[BatchMiddleware] = [
    RateLimit(5),
    ConcurrencyLimit(2),
    map_exceptions({OSError: Reject}),
]
not_around_batches: BatchMiddleware = one_by_one  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
imports.handler(batch=Batch(5), middlewares=[Counted()])
