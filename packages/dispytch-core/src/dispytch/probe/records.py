"""What a probe has seen become of events."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

from typing_extensions import TypeVar as DefaultingTypeVar

from dispytch.dead_letters import Reason
from dispytch.events import Event, EventBase
from dispytch.exceptions import Skip
from dispytch.messages import Delivery, Headers, Message

Body = DefaultingTypeVar("Body", default=Any)
OtherBody = TypeVar("OtherBody")
P = ParamSpec("P")

Handler = Callable[..., Any]
Names = Callable[[Handler], Collection[str]]
"""The names under which a listener knows a handler."""


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Record:
    """An event, by what its message says, and the handler that it was for.

    handler: the function; None where none was found. name: its module and qualified name.
    delivery: the message as it came; its event's type and id, as far as it can be read.
    """

    handler: Handler | None
    name: str | None
    delivery: Delivery
    event_type: str | None
    event_id: str | None

    @property
    def value(self) -> bytes | None:
        """The body's bytes; None in a tombstone."""
        return self.delivery.value

    @property
    def key(self) -> bytes | None:
        """The message's key."""
        return self.delivery.key

    @property
    def headers(self) -> Headers:
        """The message's headers."""
        return self.delivery.headers

    @property
    def topic(self) -> str:
        """Where the event came from."""
        return self.delivery.topic

    def concerns(self, model: type[Any]) -> bool:
        """Whether the event is one of this class, by its type if its body could not be had."""
        return issubclass(model, EventBase) and self.event_type == model.__event_type__

    def __repr__(self) -> str:
        key = "" if self.key is None else f" key={self.key.decode('utf-8', 'backslashreplace')!r}"
        by = "" if self.name is None else f" by {self.name}"
        return f"<{type(self).__name__} {self.event_type} on {self.topic!r}{key}{by}{self._rest()}>"

    def _rest(self) -> str:
        return ""


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Run(Record, Generic[Body]):
    """A run of a handler, with the event that it was given."""

    event: Event[Body]

    @property
    def body(self) -> Body:
        """The event's body, as the handler asked for it."""
        return self.event.body

    @property
    def attempt(self) -> int:
        """Which attempt it was, from 1."""
        return self.event.attempt

    def concerns(self, model: type[Any]) -> bool:
        """Whether the body is one of this class."""
        return isinstance(self.body, model)

    def _rest(self) -> str:
        return f", attempt {self.attempt}: {self.body!r}"


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Handled(Run[Body]):
    """A handler returned; ``result`` is what it returned."""

    result: object


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Skipped(Run[Body]):
    """A handler, or code around it, raised `Skip`."""

    reason: Skip


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Failed(Run[Body]):
    """An attempt failed. Another one was to follow after ``wait`` seconds, or none if None."""

    error: Exception
    wait: float | None

    def _rest(self) -> str:
        again = "no further one" if self.wait is None else f"again in {self.wait:g} s"
        return f", attempt {self.attempt}, {again}: {self.error!r}"


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class GivenUp(Record):
    """An event was given up.

    reason: see `dispytch.dead_letters.Reason`. error: the exception itself.
    attempts: how often the handler was run.
    event: as the handler was given it last; None where none was run.
    """

    reason: Reason
    error: Exception
    attempts: int
    event: Event[Any] | None

    def _rest(self) -> str:
        return f", attempts {self.attempts}, {self.reason}: {self.error!r}"


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Dropped(GivenUp):
    """Given up under the policy ``"drop"``."""


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class DeadLettered(GivenUp):
    """Given up, and its dead letter, ``letter``, confirmed by the broker."""

    letter: Message


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Unhandled(Record):
    """No handler takes events of this type; settled, as ``unhandled="ignore"`` says."""


R = TypeVar("R", bound=Record)


class Records(Sequence[R], Generic[R]):
    """What became of events, in the order in which it did."""

    def __init__(self, records: Iterable[R], names: Names) -> None:
        self._records = tuple(records)
        self._names = names

    def by(self, handler: Handler) -> Self:
        """Those of one handler.

        Raises:
            ConfigurationError: the listener has no such handler.
        """
        names = self._names(handler)
        return self._those(record for record in self if record.name in names)

    def of(self, model: type[Any]) -> Self:
        """Those of the events with a body of this class, or of the type of this event class."""
        return self._those(record for record in self if record.concerns(model))

    def _those(self, records: Iterable[R]) -> Self:
        return type(self)(records, self._names)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> R | Self:
        """One of them, or some."""
        if isinstance(index, slice):
            return self._those(self._records[index])
        return self._records[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return list(self) == list(cast("Sequence[object]", other))

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._records)

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self._records))}]"


class HandledRecords(Records[Handled[Body]], Generic[Body]):
    """What was handled, in the order in which handlers returned."""

    @overload
    def by(
        self, handler: Callable[Concatenate[Event[OtherBody], P], Any]
    ) -> "HandledRecords[OtherBody]": ...
    @overload
    def by(
        self, handler: Callable[Concatenate[list[Event[OtherBody]], P], Any]
    ) -> "HandledRecords[OtherBody]": ...
    @overload
    def by(self, handler: Handler) -> "HandledRecords[Any]": ...
    def by(self, handler: Handler) -> "HandledRecords[Any]":
        """What one handler has handled; typed, where it takes the event, or
        the list of them, first.

        Raises:
            ConfigurationError: the listener has no such handler.
        """
        return super().by(handler)

    def of(self, model: type[OtherBody]) -> "HandledRecords[OtherBody]":
        """What was handled with a body of this class."""
        found: Any = super().of(model)
        return found  # type: ignore[no-any-return]

    @property
    def bodies(self) -> list[Body]:
        """The bodies alone."""
        return [record.body for record in self]
