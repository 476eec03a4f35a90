"""From an event to its message."""

from enum import Enum
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from dispytch.event_config import EventConfig
from dispytch.events import EventBase
from dispytch.exceptions import ConfigurationError, EncodeError, InvalidEvent
from dispytch.messages import Message
from dispytch.serialization import CloudEvents, EventWriter, JsonCodec

T = TypeVar("T")


class OurConfig(EventConfig):
    routing: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)


class TheirConfig(EventConfig):
    routing: str


class User(BaseModel):
    id: int


class Kind(Enum):
    NEW = "new"


class Registered(EventBase):
    __topic__ = "user.{user.id}.{kind}"
    __event_type__ = "user_registered"
    __key__ = "{user.id}"

    user: User | None
    kind: Kind = Kind.NEW
    note: str = Field(default="", serialization_alias="theNote")


class Simple(EventBase):
    __topic__ = "simple"
    __event_type__ = "simple"


def writer(config_type: type[EventConfig] | None = OurConfig) -> EventWriter:
    return EventWriter(
        wire=CloudEvents(),
        codec=JsonCodec(),
        source="shop",
        prefixes=("ce_",),
        config_type=config_type,
    )


def test_a_message() -> None:
    event = Registered(user=User(id=5), note="x")
    message = writer().message(event)
    assert message == Message(
        "user.5.new", b'{"user":{"id":5},"kind":"new","theNote":"x"}', b"5", message.headers, None
    )
    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": event.__event_id__.encode(),
        "ce_type": b"user_registered",
        "ce_source": b"shop",
        "ce_time": event.__event_time__.encode(),
        "content-type": b"application/json",
    }
    assert writer().message(event) == message, "another emit, the same message"


def test_neither_key_nor_fields_nor_config() -> None:
    message = writer().message(Simple())
    assert (message.topic, message.value, message.key, message.config) == (
        "simple",
        b"{}",
        None,
        None,
    )


def test_a_key_that_leads_through_none_keeps_no_order() -> None:
    class Anyones(Registered):
        __topic__ = "users"

    assert writer().message(Anyones(user=None)).key is None


def test_a_topic_that_leads_through_none_is_an_error() -> None:
    with pytest.raises(InvalidEvent, match=r"Registered\.user\.id is None, but the template "):
        writer().message(Registered(user=None))


def test_braces_are_written_twice() -> None:
    class Braced(EventBase):
        __topic__ = "a.{{b}}"
        __event_type__ = "t"
        __key__ = "{{{number}}}"

        number: int

    message = writer().message(Braced(number=3))
    assert (message.topic, message.key) == ("a.{b}", b"{3}")


def test_subclasses_and_generic_classes_have_forms_of_their_own() -> None:
    class Changed(EventBase, Generic[T]):
        __topic__ = "changes"
        __event_type__ = "changed"
        __key__ = "{value}"

        value: T

    class Deleted(Changed[int]):
        __event_type__ = "deleted"

    one = writer()
    written = [one.message(event) for event in (Changed[int](value=1), Deleted(value=2))]
    assert [dict(message.headers)["ce_type"] for message in written] == [b"changed", b"deleted"]
    assert [(message.key, message.value) for message in written] == [
        (b"1", b'{"value":1}'),
        (b"2", b'{"value":2}'),
    ]


def test_extra_fields_may_fill_templates() -> None:
    class Open(EventBase):
        model_config = ConfigDict(extra="allow")

        __topic__ = "tenant.{tenant}"
        __event_type__ = "t"

    assert writer().message(Open.model_validate({"tenant": "a"})).topic == "tenant.a"
    with pytest.raises(InvalidEvent, match="Open has no 'tenant', which the template "):
        writer().message(Open())


def test_the_config_of_this_backend_is_found_and_filled() -> None:
    ours = OurConfig(routing="r.{number}", headers={"plain": "x", "number": "{number}"})

    class Configured(EventBase):
        __topic__ = "t"
        __event_type__ = "t"
        __backend_config__ = (TheirConfig(routing="theirs"), ours)

        number: int

    event = Configured(number=7)
    assert writer().message(event).config == OurConfig(
        routing="r.7", headers={"plain": "x", "number": "7"}
    )
    assert writer(TheirConfig).message(event).config == TheirConfig(routing="theirs")
    assert writer(None).message(event).config is None


def test_a_config_without_templates_is_handed_on_as_it_is() -> None:
    config = OurConfig(routing="r")

    class Configured(EventBase):
        __topic__ = "t"
        __event_type__ = "t"
        __backend_config__ = config

    assert writer().message(Configured()).config is config


class NoTopic(EventBase):
    __event_type__ = "t"


class NoType(EventBase):
    __topic__ = "t"


class EmptyTopic(EventBase):
    __topic__ = ""
    __event_type__ = "t"


class NumberedType(EventBase):
    __topic__ = "t"
    __event_type__ = 5  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("event", "name", "example"),
    [
        (NoTopic(), "__topic__", "user_events"),
        (EmptyTopic(), "__topic__", "user_events"),
        (NoType(), "__event_type__", "user_registered"),
        (NumberedType(), "__event_type__", "user_registered"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_class_lacks_is_named(event: EventBase, name: str, example: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        writer().message(event)
    assert str(caught.value) == (
        f"{__name__}.{type(event).__qualname__} has no {name}; "
        f'give its class one, as in {name} = "{example}"'
    )


@pytest.mark.parametrize("attribute", ["__topic__", "__key__", "__backend_config__"])
@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("x.{nubmer}", "Misspelt does not have; its fields are: number"),
        ("x.{number", "cannot be read: expected '}'"),
        ("{number:>5}", "{number} can have no format specification or conversion"),
    ],
)
def test_a_template_that_cannot_work_names_attribute_and_class(
    attribute: str, template: str, reason: str
) -> None:
    class Misspelt(EventBase):
        __topic__ = "t"
        __event_type__ = "t"

        number: int = 0

    value: Any = OurConfig(routing=template) if attribute == "__backend_config__" else template
    setattr(Misspelt, attribute, value)
    with pytest.raises(InvalidEvent) as caught:
        writer().message(Misspelt())
    assert attribute in str(caught.value)
    assert "Misspelt" in str(caught.value)
    assert repr(template) in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("config", [OurConfig, "routing", {"routing": "r"}, [OurConfig], 5])
def test_a_config_that_is_none_is_refused(config: Any) -> None:
    class Wrong(EventBase):
        __topic__ = "t"
        __event_type__ = "t"
        __backend_config__ = config

    with pytest.raises(
        InvalidEvent, match=r"the __backend_config__ of .*Wrong must be a backend's"
    ):
        writer().message(Wrong())


def test_invalid_events_are_wrong_wiring() -> None:
    assert issubclass(InvalidEvent, ConfigurationError)


def test_a_body_that_cannot_be_written_names_the_class() -> None:
    class Holding(EventBase):
        __topic__ = "t"
        __event_type__ = "t"

        value: Any

    with pytest.raises(EncodeError, match=r"Holding cannot be written as JSON: .*'object'"):
        writer().message(Holding(value=object()))
