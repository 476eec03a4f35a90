"""From an event to the message that carries it."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from dispytch.envelope import Envelope
from dispytch.event_config import EventConfig
from dispytch.events import EventBase, Tombstone, identity_of
from dispytch.exceptions import InvalidEvent
from dispytch.identity import Identity, new_identities
from dispytch.messages import Message
from dispytch.serialization.codec import Codec
from dispytch.serialization.wire import WireFormat
from dispytch.templates import Template, TopicTemplate

Encode = Callable[[EventBase], bytes]


class EventWriter:
    """Turns events into messages for one backend; reads each event class once.

    ``config_type`` is the class of ``__backend_config__`` that the backend understands.
    """

    def __init__(
        self,
        *,
        wire: WireFormat,
        codec: Codec,
        source: str,
        prefixes: Sequence[str],
        config_type: type[EventConfig] | None,
    ) -> None:
        self._write = wire.writer(prefixes)
        self._codec = codec
        self._source = source
        self._config_type = config_type
        self._forms: dict[type[EventBase | Tombstone], _Form] = {}

    def messages(self, events: Sequence[EventBase | Tombstone]) -> list[Message]:
        """The messages for events that are emitted together.

        Raises:
            As `message`, for the first of them that is refused.
        """
        new = new_identities(len(events))
        return [self.message(event, new) for event in events]

    def message(
        self, event: EventBase | Tombstone, new: Iterator[Identity] | None = None
    ) -> Message:
        """The message for an event; see `identity_of` for ``new``.

        Raises:
            InvalidEvent: it is no event, its class lacks a topic or a type, or a template's field;
                or a field makes more of its topic than one segment.
            ConfigurationError: the format cannot hold such a body.
            EncodeError: its body cannot be written.
            Unresolved: the codec has to ask somebody first.
        """
        form = self._forms.get(type(event))
        if form is None:
            return self._unknown(event, new)
        if TYPE_CHECKING:
            assert isinstance(event, EventBase)
        topic, encode = form.fixed or form.addressed(event)
        id_, time = identity_of(event, new)
        data = encode(event)
        content_type = self._codec.content_type
        envelope = Envelope(id_, form.type, self._source, time, content_type, data, form.version)
        value, headers = self._write(envelope)
        key = None if form.key is None else form.key.fill_optional(event)
        return Message(
            topic,
            value,
            None if key is None else key.encode(),
            headers,
            form.config if form.rendered is None else form.rendered(event),
        )

    def _unknown(self, event: EventBase | Tombstone, new: Iterator[Identity] | None) -> Message:
        if isinstance(event, Tombstone):
            return self._tombstone(event.event, new)
        self._form(event)
        return self.message(event, new)

    def _tombstone(self, event: EventBase, new: Iterator[Identity] | None) -> Message:
        form = self._forms.get(type(event)) or self._form(event)
        topic = form.addressed(event)[0]
        id_, time = identity_of(event, new)
        content_type = self._codec.content_type
        envelope = Envelope(id_, form.type, self._source, time, content_type, None, form.version)
        value, headers = self._write(envelope)
        key = None if form.key is None else form.key.fill_optional(event)
        if key is None:
            raise InvalidEvent(
                f"a Tombstone of {type(event).__qualname__} needs a key: give the fields of "
                f"{type(event).__key__!r} values that are not None"
            )
        config = form.config if form.rendered is None else form.rendered(event)
        return Message(topic, value, key.encode(), headers, config)

    def _form(self, event: EventBase) -> "_Form":
        model = type(event)
        if not issubclass(model, EventBase):
            raise InvalidEvent(f"an emitter takes instances of EventBase, not {model.__qualname__}")
        form = self._forms[model] = _Form(model, self._codec, self._config_type)
        return form


class _Form:
    """What there is to know about an event class before one of its events is written.

    ``fixed`` is the topic, and what encodes a body for it, if they are the same for all events;
    else `addressed` tells them. ``config`` is the same for all of them unless it is ``rendered``.
    """

    def __init__(
        self, model: type[EventBase], codec: Codec, config_type: type[EventConfig] | None
    ) -> None:
        self.type = _declared(model, "__event_type__", "user_registered")
        self.version = _version(model)
        topic = _declared(model, "__topic__", "user_events")
        self._topic = _template(model, "__topic__", topic, TopicTemplate)
        self._body = codec.bind(model, TypeAdapter[Any](model))
        self.fixed: tuple[str, Encode] | None = None
        if self._topic.constant is not None:
            self.fixed = self._topic.constant, self._body.for_topic(self._topic.constant).encode
        key = _optional(model, "__key__")
        self.key = _template(model, "__key__", key) if key else None
        self.config = _config_for(model, config_type)
        self._config_templates = {
            text: _template(model, "__backend_config__", text)
            for text in (self.config.templates() if self.config else ())
        }
        self.rendered = self._rendered if self._config_templates else None

    def addressed(self, event: EventBase) -> "tuple[str, Encode]":
        """The topic of an event, and what encodes its body for that."""
        topic = self._topic.fill(event)
        return topic, self._body.for_topic(topic).encode

    def _rendered(self, event: EventBase) -> EventConfig | None:
        templates = self._config_templates
        return self.config and self.config.rendered(lambda text: templates[text].fill(event))


def _declared(model: type[EventBase], name: str, example: str) -> str:
    value = getattr(model, name, None)
    if isinstance(value, str) and value:
        return value
    raise InvalidEvent(
        f"{model.__module__}.{model.__qualname__} has no {name}; "
        f'give its class one, as in {name} = "{example}"'
    )


def _optional(model: type[EventBase], name: str) -> str | None:
    value: object = getattr(model, name, None)
    if isinstance(value, str | None):
        return value
    raise InvalidEvent(
        f"the {name} of {model.__module__}.{model.__qualname__} must be a text, not {value!r}"
    )


def _version(model: type[EventBase]) -> int | None:
    version: object = model.__version__
    if version is None or (type(version) is int and version >= 1):
        return version
    raise InvalidEvent(
        f"the __version__ of {model.__module__}.{model.__qualname__} must be a whole number "
        f"from 1, not {version!r}"
    )


def _template(
    model: type[EventBase], name: str, text: str, kind: type[Template] = Template
) -> Template:
    try:
        template = kind(text)
    except InvalidEvent as error:
        raise InvalidEvent(f"the {name} of {model.__qualname__}: {error}") from error
    template.check(model, f"the {name}")
    return template


def _config_for(
    model: type[EventBase], config_type: type[EventConfig] | None
) -> EventConfig | None:
    given = model.__backend_config__
    configs: Sequence[object] = (given or ()) if isinstance(given, Sequence | None) else (given,)
    if not all(isinstance(one, EventConfig) for one in configs):
        raise InvalidEvent(
            f"the __backend_config__ of {model.__qualname__} must be a backend's event "
            f"configuration, as in KafkaEventConfig(...), or several, not {given!r}"
        )
    return next((one for one in configs if config_type and isinstance(one, config_type)), None)
