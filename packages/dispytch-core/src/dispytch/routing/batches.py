"""What handlers that take batches need, and must do without."""

from collections.abc import Sequence
from typing import cast

from dispytch.batch import BatchMiddleware
from dispytch.dependencies.callables import full_name_of
from dispytch.dependencies.signature import UNKNOWN, returned_by
from dispytch.exceptions import InvalidHandler
from dispytch.middleware import Middleware
from dispytch.routing.registration import Registration


def going_around_batches(name: str, middlewares: Sequence[Middleware]) -> Sequence[BatchMiddleware]:
    """The middlewares around a batch handler.

    Raises:
        InvalidHandler: one of them only goes around single events.
    """
    for middleware in middlewares:
        if not isinstance(middleware, BatchMiddleware):
            called = full_name_of(middleware)
            raise InvalidHandler(
                f"handler {name} takes batches, and {called}, a middleware around it, one event; "
                "make that a class that has the method `async def around_batch(self, events, "
                "call_next)` as well, see BatchMiddleware, or give it to groups and handlers that "
                "take single events"
            )
    return cast("Sequence[BatchMiddleware]", middlewares)


def check_answers_nothing(registration: Registration) -> None:
    """Refuse a batch handler that means to answer requests.

    Raises:
        InvalidHandler: it does.
    """
    returned = returned_by(registration.handler)
    if registration.answers is True or returned is not UNKNOWN:
        means = "answers=True" if registration.answers is True else f"it returns {returned!r}"
        raise InvalidHandler(
            f"handler {registration.name} takes batches, and answers no requests, but {means}: a "
            "request has an answer of its own; let it return None, or take one event at a time"
        )
