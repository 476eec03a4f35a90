"""What a service has emitted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast, overload

from pydantic import TypeAdapter

from dispytch.envelope import Envelope
from dispytch.events import EventBase
from dispytch.messages import Message
from dispytch.serialization import Codecs
from dispytch.templates import Template

E = TypeVar("E", bound=EventBase)


@dataclass(frozen=True, slots=True, eq=False)
class Emission:
    """An event on its way out: the message that the broker took, and what its envelope says.

    envelope: without id and type if the wire format cannot read the message.
    delay: for how many seconds the broker keeps it back, if it does.
    """

    message: Message
    envelope: Envelope
    delay: float | None = None

    @property
    def event_type(self) -> str | None:
        """The event's type."""
        return self.envelope.type

    @property
    def topic(self) -> str:
        """Where it was sent."""
        return self.message.topic

    def __repr__(self) -> str:
        return f"<{self.event_type} on {self.topic!r}: {(self.envelope.data or b'')[:200]!r}>"


class Emitted(Sequence[Emission]):
    """What was emitted, in the order in which the broker took it."""

    def __init__(self, emissions: Iterable[Emission], codecs: Codecs) -> None:
        self._emissions = tuple(emissions)
        self._codecs = codecs

    def of(self, model: type[E]) -> list[E]:
        """The events of one class, read back from the bytes that were sent.

        They are those of its type, on its topic, but for tombstones, which have no body.

        Raises:
            DecodeError, BodyInvalid: the class cannot read what it has written.
        """
        topic, adapter = Template(model.__topic__), TypeAdapter(model)
        events: list[E] = []
        for one in self._emissions:
            if one.event_type != model.__event_type__ or topic.constant not in (None, one.topic):
                continue
            if one.envelope.data is None:
                continue
            codec = self._codecs.reading(one.envelope.content_type)
            event: E = codec.bind(model, adapter).decode(one.envelope.data)
            if topic.fill(event) == one.topic:
                events.append(event)
        return events

    @overload
    def __getitem__(self, index: int) -> Emission: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Emission]: ...
    def __getitem__(self, index: int | slice) -> Emission | Sequence[Emission]:
        """One of them, or some."""
        return self._emissions[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return list(self) == list(cast("Sequence[object]", other))

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._emissions)

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self._emissions))}]"
