"""Code around handlers that take several events at once."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from dispytch.batch.failures import failures_among
from dispytch.events import Event
from dispytch.exceptions import BatchFailed, DispytchError

NextBatch = Callable[[list[Event[Any]]], Awaitable[Any]]
"""The rest of the way to a batch handler, with the events of the batch, or some of them."""


@runtime_checkable
class BatchMiddleware(Protocol):
    """A middleware that goes around batch handlers as well, by a method of its own.

    The method runs once for each run of the handler. What it raises counts as what the handler
    raises: an exception for every event of the batch, `BatchFailed` for those that it names.

    It may hand on only some of the events, in a list of its own: the others count as handled,
    unless it raises `BatchFailed` for them. When any of those that it has handed on fail, it gets
    an error to pass on: a `BatchFailed` with their indexes in ``events``, or, after all of them
    were handed on, what the handler has raised.
    """

    async def __call__(
        self, event: Event[Any], call_next: Callable[[Event[Any]], Awaitable[Any]], /
    ) -> Any:
        """Go around a handler that takes one event: see `dispytch.Middleware`."""
        ...

    async def around_batch(self, events: list[Event[Any]], call_next: NextBatch, /) -> Any:
        """Do something before, call the rest with the events, do something after."""
        ...


def wrap_batch(handler: NextBatch, middlewares: Sequence[BatchMiddleware]) -> NextBatch:
    """The handler with the middlewares around it, the first one outermost."""
    for middleware in reversed(middlewares):
        handler = _around(middleware, handler)
    return handler


def alone(run: NextBatch) -> Callable[[Event[Any]], Awaitable[Any]]:
    """Runs an event as a batch of one, and raises what it has failed of."""

    async def run_one(event: Event[Any]) -> None:
        try:
            await run([event])
        except BatchFailed as partial:
            error = failures_among(1, partial)[0]
            raise error from error.__cause__

    return run_one


def _around(middleware: BatchMiddleware, call_next: NextBatch) -> NextBatch:
    def run(events: list[Event[Any]]) -> Awaitable[Any]:
        return middleware.around_batch(events, _rest(tuple(events), call_next))

    return run


def _rest(events: Sequence[Event[Any]], call_next: NextBatch) -> NextBatch:
    """The rest of the way, for a middleware that was given these and may hand on only some."""

    async def run(handed_on: list[Event[Any]]) -> None:
        if not handed_on:
            return
        indexes = _indexes(handed_on, events)
        try:
            await call_next(handed_on)
        except Exception as error:
            if indexes == list(range(len(events))):
                raise
            failures = failures_among(len(indexes), error)
            raise BatchFailed({indexes[one]: failures[one] for one in failures}) from error

    return run


def _indexes(handed_on: Sequence[Event[Any]], events: Sequence[Event[Any]]) -> list[int]:
    """Where the events that were handed on stand among all; a copy stands for its original."""
    places = {event.delivery: index for index, event in enumerate(events)}
    indexes = [places.get(event.delivery, -1) for event in handed_on]
    if -1 in indexes or len(set(indexes)) < len(indexes):
        raise DispytchError(
            "a middleware has handed on an event twice, or one that is none of the batch that it "
            "was given"
        )
    return indexes
