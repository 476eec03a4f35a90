"""A handler, compiled: what is called, in which order, with which values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dispytch.events import Event


@dataclass(frozen=True, slots=True)
class TheEvent:
    """The event that is handled."""


@dataclass(frozen=True, slots=True)
class FromEvent:
    """What ``read`` finds at the event: a header, the delivery, what a middleware has provided.

    All of these are read before the first step of a plan: one that is refused opens nothing.
    """

    read: Callable[[Event[Any]], Any]


@dataclass(frozen=True, slots=True)
class Provided:
    """The value that the framework provides for a type."""

    type: type


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value that is known when the plan is made; two are never equal, as 0 and False are."""

    value: object


@dataclass(frozen=True, slots=True)
class OfApp:
    """What an app-scoped dependency has made, by its place among those."""

    step: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a step of the same plan has made, by its place among the steps."""

    step: int


Source = TheEvent | FromEvent | Provided | Constant | OfApp | Result
"""Where an argument comes from."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call; without a keyword it is passed by position."""

    source: Source
    keyword: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call with everything it needs.

    ``is_async``: calling ``func`` gives an awaitable, or an async generator. ``is_generator``:
    it gives a generator, whose first value is the result.
    """

    name: str
    func: Callable[..., Any]
    arguments: tuple[Argument, ...]
    is_async: bool
    is_generator: bool
    thread: bool


@dataclass(frozen=True, slots=True)
class Step:
    """The call of a dependency; ``path`` is the way to it from the first that asks for it."""

    call: Call
    path: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run a handler: ``steps`` in this order, then the handler itself.

    body: the type of the event's body; Any where nothing asks for another.
    takes_event: whether the handler or a dependency takes the event.
    provided: the types whose values the framework has to provide.
    """

    steps: tuple[Call, ...]
    handler: Call
    body: Any
    takes_event: bool
    provided: frozenset[type]
