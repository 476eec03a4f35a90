"""Events: as a service emits them (`EventBase`) and as a handler receives them (`Event`)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MemberDescriptorType
from typing import Any, ClassVar, Generic

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from dispytch.envelope import Envelope, time_of
from dispytch.event_config import EventConfig
from dispytch.exceptions import DecodeError, DependencyError, InvalidEvent
from dispytch.gates import Waiting
from dispytch.identity import Identity, new_uuid, utc_now
from dispytch.messages import Delivery, present
from dispytch.printable import quoted
from dispytch.topics import TopicPattern

Body = TypeVar("Body", default=Any)
Value = TypeVar("Value")

_IDENTITY = "__dispytch_identity__"


class EventBase(BaseModel):
    """A pydantic model that knows where it is sent; its fields are the body of the event.

    Class attributes, none of which takes a field name away:

    - ``__topic__``: the topic; may hold ``{field}`` templates, as in ``"user.{user.id}.events"``.
    - ``__event_type__``: what handlers tell events of one topic apart by.
    - ``__key__``: a template; events of one topic and key are handled in order. None, or a field
      that is None, keeps no order.
    - ``__version__``: which version of its type's body this is, see `upcast`; 1 if not given.
    - ``__backend_config__``: what one backend should know of it, or several, one for each backend.

    An event is emitted under the same id however often it is emitted, after pickling too; a copy
    is another event.
    """

    # JSON has no number for them, and a null would be refused where it is read.
    model_config: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="strings")

    # A slot is no part of the fields, the equality, the representation or the body, and is not
    # copied with them.
    __slots__ = (_IDENTITY,)

    __topic__: ClassVar[str]
    __event_type__: ClassVar[str]
    __key__: ClassVar[str | None] = None
    __version__: ClassVar[int | None] = None
    __backend_config__: ClassVar[EventConfig | Sequence[EventConfig] | None] = None

    @property
    def __event_id__(self) -> str:
        """The id under which this event is emitted, a random UUID."""
        return identity_of(self)[0]

    @property
    def __event_time__(self) -> str:
        """When this event was given its id, at its first emit, in RFC 3339 and UTC."""
        return identity_of(self)[1]

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), _IDENTITY: identity_of(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        _slot.__set__(self, state[_IDENTITY])


# The slot itself: an attribute that is missing leads pydantic on a long search.
_slot: MemberDescriptorType = EventBase.__dict__[_IDENTITY]


def identity_of(event: EventBase, new: Iterator[Identity] | None = None) -> Identity:
    """The id and the time under which an event is emitted.

    If it has none yet, it is given the next of ``new``, or one that is made for it alone.
    """
    try:
        identity: Identity = _slot.__get__(event)
    except AttributeError:
        identity = (new_uuid(), utc_now()) if new is None else next(new)
        _slot.__set__(event, identity)
    return identity


class Tombstone:
    """An event without a body: says that what a key stands for is gone.

    It goes where events of the class go, under their key and type, and its value is null: a
    compacted topic of Kafka forgets what it has of that key. Emit it like an event::

        await emitter.emit(Tombstone(UserChanged, id=42))

    model: the class of events; it must have a ``__key__``.
    fields: those that its key and its topic are made of; no others are needed.
    """

    __slots__ = ("event",)

    def __init__(self, model: type[EventBase], /, **fields: Any) -> None:
        if not (isinstance(model, type) and issubclass(model, EventBase)):
            raise InvalidEvent(f"a Tombstone takes a class of events, not {model!r}")
        if model.__key__ is None:
            raise InvalidEvent(
                f"{model.__qualname__} has no __key__, so a Tombstone of it would say nothing; "
                'give its class one, as in __key__ = "{id}"'
            )
        unknown = fields.keys() - model.model_fields.keys()
        if unknown:
            raise InvalidEvent(
                f"{model.__qualname__} has no field {', '.join(sorted(unknown))}; "
                f"there are {', '.join(model.model_fields)}"
            )
        self.event: EventBase = model.model_construct(**fields)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={getattr(self.event, name)!r}" for name in self._given)
        return f"Tombstone({type(self.event).__qualname__}, {given})"

    @property
    def _given(self) -> Sequence[str]:
        return [
            name for name in type(self.event).model_fields if name in self.event.model_fields_set
        ]


class ProvidedValues:
    """The values that middlewares provide for one run of a handler."""

    # Not set before it is needed: an event for which nothing is provided pays nothing.
    __slots__ = ("_values",)
    _values: dict[type, Any]

    def provide(self, kind: type[Value], value: Value) -> None:
        """Give a value to the handler, and its dependencies, that ask for ``kind`` by its name.

        For middlewares that are declared with `provides`. It counts for this run of this handler;
        the last value given for a type counts.
        """
        try:
            self._values[kind] = value
        except AttributeError:
            self._values = {kind: value}

    def provided(self, kind: type[Value]) -> Value:
        """What was provided for ``kind`` in this run.

        Raises:
            DependencyError: nothing was.
        """
        try:
            value: Value = self._values[kind]
        except (AttributeError, KeyError):
            raise DependencyError(
                f"no middleware has provided {kind.__qualname__} for this run of the handler: "
                f"one has to call event.provide({kind.__qualname__}, ...) before call_next(event)"
            ) from None
        return value


@dataclass(eq=False, slots=True)
class Event(ProvidedValues, Generic[Body]):
    """An event as a handler receives it: the validated body, and all that is known around it.

    ``body`` is what the handler's annotation ``Event[Body]`` asks for: any type that pydantic can
    validate; plain JSON data for a bare ``Event``. ``attempt`` counts from 1;
    ``handler`` is the handler's module and qualified name; ``pattern`` the one that it takes topics
    by, or None.
    """

    body: Body
    envelope: Envelope
    delivery: Delivery
    attempt: int = 1
    handler: str = ""
    pattern: TopicPattern | None = None
    claim: Waiting | None = field(default=None, repr=False)
    """Where a run stands that a limit has postponed; for the limits that come with dispytch."""

    @property
    def id(self) -> str:
        """The id its producer gave it; the same when it comes again."""
        return self.envelope.id

    @property
    def type(self) -> str | None:
        """Its type, or None when a foreign producer gave none."""
        return self.envelope.type

    @property
    def version(self) -> int:
        """The version of the body that was emitted; 1 when its producer gave none."""
        return 1 if self.envelope.version is None else self.envelope.version

    @property
    def source(self) -> str | None:
        """Who emitted it, as CloudEvents has it, or None when unknown."""
        return self.envelope.source

    @property
    def attributes(self) -> Mapping[str, str]:
        """All that it has as a CloudEvent, by the names of the attributes, in lower case.

        Extensions, ``subject`` and ``dataschema`` are among them, whether they came as headers or
        in the message's value, on whatever broker; numbers and booleans are texts. It is empty for
        a message that is no CloudEvent.
        """
        return self.envelope.attributes

    @property
    def timestamp(self) -> datetime | None:
        """When it was emitted; else when the broker took it; None when neither is known.

        Raises:
            DecodeError: its producer gave a time that is none.
        """
        if self.envelope.time is not None:
            return _time(self.envelope.time)
        if self.delivery.timestamp_ms is not None:
            return datetime.fromtimestamp(self.delivery.timestamp_ms / 1000, UTC)
        return None

    @property
    def topic(self) -> str:
        """The topic it came from."""
        return self.delivery.topic

    @property
    def segments(self) -> Mapping[str, str]:
        """What the topic has in the place of each field of the handler's pattern.

        ``{"user_id": "42"}`` for ``user.42`` and the pattern ``user.{user_id}``; empty without
        fields.
        """
        return {} if self.pattern is None else self.pattern.values(self.delivery.topic)

    @property
    def key(self) -> str | None:
        """The key that decides its order; bytes that are not UTF-8 show as ``\\xNN``."""
        key = self.delivery.key
        return None if key is None else key.decode("utf-8", "backslashreplace")

    @property
    def headers(self) -> Mapping[str, str]:
        """The message's headers as text, but for those that are null.

        The raw ones are in ``event.delivery.headers``.
        """
        return {
            name: value.decode("utf-8", "backslashreplace")
            for name, value in present(self.delivery.headers).items()
        }

    @property
    def stream(self) -> str:
        """The Kafka partition or RabbitMQ queue that it came through."""
        return self.delivery.lease.stream

    @property
    def position(self) -> int:
        """Where in the stream it stands: an offset, a delivery tag."""
        return self.delivery.position


def _time(text: str) -> datetime:
    try:
        return time_of(text)
    except ValueError as error:
        raise DecodeError(f"the event's time {quoted(text)} is not RFC 3339: {error}") from error
