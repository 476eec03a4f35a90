"""One handler, ready to run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dispytch.dead_letters import FailurePolicy
from dispytch.envelope import Envelope
from dispytch.middleware import Next
from dispytch.retry import RetryPolicy
from dispytch.routing.answering import Answering

Decode = Callable[[Envelope], Any]


@dataclass(eq=False, slots=True, kw_only=True)
class Route:
    """A handler with everything around it: body, dependencies, middlewares and policies.

    ``decode`` gives the body that this handler asks for; ``run`` takes an event that has it.
    ``decode`` raises `DecodeError` or `BodyInvalid` when it cannot be had from these bytes, and
    `Unresolved` when somebody has to be asked first. ``answering`` is None for a handler that
    answers no requests.
    """

    name: str
    topic: str
    event: str | None
    decode: Decode
    run: Next
    retry: RetryPolicy
    dead_letter: FailurePolicy
    timeout: float | None
    answering: Answering | None = None
