"""From an event to the message that carries it."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from dispytch.envelope import Envelope
from dispytch.event_config import EventConfig
from dispytch.events import EventBase, identity_of
from dispytch.exceptions import InvalidEvent
from dispytch.messages import Message
from dispytch.serialization.codec import BodyCodec, Codec
from dispytch.serialization.wire import WireFormat
from dispytch.templates import Template, TopicTemplate


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
        self._forms: dict[type[EventBase], _Form] = {}

    def message(self, event: EventBase) -> Message:
        """The message for an event.

        Raises:
            InvalidEvent: it is no event, its class lacks a topic or a type, or a template's field;
                or a field makes more of its topic than one segment.
            ConfigurationError: the format cannot hold such a body.
            EncodeError: its body cannot be written.
            Unresolved: the codec has to ask somebody first.
        """
        form = self._forms.get(type(event)) or self._form(event)
        topic = form.topic(event)
        id_, time = identity_of(event)
        data = form.body(topic).encode(event)
        content_type = self._codec.content_type
        envelope = Envelope(id_, form.type, self._source, time, content_type, data, form.version)
        value, headers = self._write(envelope)
        return Message(topic, value, form.key(event), headers, form.config(event))

    def _form(self, event: EventBase) -> "_Form":
        model = type(event)
        if not issubclass(model, EventBase):
            raise InvalidEvent(f"an emitter takes instances of EventBase, not {model.__qualname__}")
        form = self._forms[model] = _Form(model, self._codec, self._config_type)
        return form


class _Form:
    """What there is to know about an event class before one of its events is written."""

    def __init__(
        self, model: type[EventBase], codec: Codec, config_type: type[EventConfig] | None
    ) -> None:
        self.type = _declared(model, "__event_type__", "user_registered")
        self.version = _version(model)
        topic = _declared(model, "__topic__", "user_events")
        self._topic = _template(model, "__topic__", topic, TopicTemplate)
        self._body = codec.bind(model, TypeAdapter[Any](model))
        if self._topic.constant is not None:
            self._body = self._body.for_topic(self._topic.constant)
        key = _optional(model, "__key__")
        self._key = _template(model, "__key__", key) if key else None
        self._config = _config_for(model, config_type)
        self._config_templates = {
            text: _template(model, "__backend_config__", text)
            for text in (self._config.templates() if self._config else ())
        }

    def topic(self, event: EventBase) -> str:
        constant = self._topic.constant
        return self._topic.fill(event) if constant is None else constant

    def body(self, topic: str) -> BodyCodec:
        return self._body if self._topic.constant is not None else self._body.for_topic(topic)

    def key(self, event: EventBase) -> bytes | None:
        key = self._key.fill_optional(event) if self._key else None
        return None if key is None else key.encode()

    def config(self, event: EventBase) -> EventConfig | None:
        if self._config is None or not self._config_templates:
            return self._config
        return self._config.rendered(lambda text: self._config_templates[text].fill(event))


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
