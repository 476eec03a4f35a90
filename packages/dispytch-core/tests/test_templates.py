"""Templates, against ``str.format``."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    computed_field,
)

from dispytch.exceptions import InvalidEvent
from dispytch.templates import Template, TopicTemplate

names = st.sampled_from(["a", "b", "long_name", "größe"])
literals = st.text("{}.a", max_size=4) | st.text(st.characters(exclude_categories=["Cs"]))
values = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.floats())
parts = st.lists(st.one_of(literals.map(lambda t: ("text", t)), names.map(lambda n: ("field", n))))


class Address(BaseModel):
    city: str


class User(BaseModel):
    id: int
    address: Address | None = None
    tags: dict[str, Any] = {}


class Registered(BaseModel):
    user: User | None
    number: int = 7
    _secret: str = PrivateAttr("hidden")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def doubled(self) -> int:
        return 2 * self.number

    @property
    def halved(self) -> int:
        return self.number // 2

    def method(self) -> int:
        return 0


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


def written(template: list[tuple[str, str]]) -> str:
    return "".join(
        f"{{{text}}}" if kind == "field" else text.replace("{", "{{").replace("}", "}}")
        for kind, text in template
    )


@given(parts, st.fixed_dictionaries({n: values for n in ["a", "b", "long_name", "größe"]}))
def test_fills_as_str_format_does(template: list[tuple[str, str]], fields: dict[str, Any]) -> None:
    text = written(template)
    filled = Template(text).fill(SimpleNamespace(**fields))
    assert filled == text.format(**{name: str(value) for name, value in fields.items()})
    assert Template(text).fill_optional(fields) == filled, "an entry of a mapping is a field too"


@given(parts)
def test_constant_is_the_filled_text_or_none(template: list[tuple[str, str]]) -> None:
    text = written(template)
    constant = Template(text).constant
    has_fields = any(kind == "field" for kind, _ in template)
    assert (constant is None) == has_fields
    assert has_fields or constant == text.format()


def test_paths_lead_to_fields_of_fields() -> None:
    template = Template("{user.address.city}/{user.tags.first}")
    event = Registered(user=User(id=1, address=Address(city="Ulm"), tags={"first": "x"}))
    assert list(template.paths()) == [("user", "address", "city"), ("user", "tags", "first")]
    assert template.fill(event) == "Ulm/x"


def test_an_enum_shows_as_its_value() -> None:
    class Color(str, Enum):  # noqa: UP042
        RED = "red"

    class Level(Enum):
        LOW = 1

    class Size(StrEnum):
        BIG = "big"

    event = SimpleNamespace(color=Color.RED, level=Level.LOW, size=Size.BIG)
    assert Template("{color}.{level}.{size}").fill(event) == "red.1.big"


@pytest.mark.parametrize(
    "user", [None, User(id=1)], ids=["on the way to the field", "in the field itself"]
)
def test_none_makes_an_optional_text_none_and_any_other_an_error(user: User | None) -> None:
    template = Template("{number}-{user.address}-{user.address.city}")
    assert template.fill_optional(Registered(user=user)) is None
    with pytest.raises(InvalidEvent, match=r"Registered\.user\.address is None") as caught:
        template.fill(Registered(user=user))
    assert repr(template.text) in str(caught.value)


@pytest.mark.parametrize("path", ["user.tags.absent", "user.name", "nothing"])
def test_a_missing_field_is_named(path: str) -> None:
    for fill in (Template(f"t.{{{path}}}").fill, Template(f"t.{{{path}}}").fill_optional):
        with pytest.raises(InvalidEvent) as caught:
            fill(Registered(user=User(id=1)))
        assert str(caught.value) == (
            f"Registered has no {path!r}, which the template 't.{{{path}}}' needs"
        )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a.{", "Single '{' encountered"),
        ("a.{b", "expected '}' before end of string"),
        ("a.}", "Single '}' encountered"),
        ("{}", "{} is not a field name or a dotted path of them"),
        ("{0}", "{0} is not a field name"),
        ("{a[0]}", "{a[0]} is not a field name"),
        ("{a..b}", "{a..b} is not a field name"),
        ("{a b}", "{a b} is not a field name"),
        ("{a!r}", "{a} can have no format specification or conversion"),
        ("{a:>10}", "{a} can have no format specification or conversion"),
    ],
)
def test_what_is_no_template_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Template(text)
    assert str(caught.value).startswith(f"the template {text!r} cannot be read: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "field", ["number", "doubled", "halved", "_secret", "user.id", "user.whatever", "number.real"]
)
def test_check_accepts_what_may_have_a_value(field: str) -> None:
    """Behind an optional field the annotation tells nothing certain."""
    Template(f"{{{field}}}").check(Registered, "the topic")


def test_check_accepts_any_field_of_a_model_with_extra_fields() -> None:
    template = Template("x.{anything}")
    template.check(Open, "the topic")
    assert template.fill(Open.model_validate({"anything": 1})) == "x.1"


@pytest.mark.parametrize("field", ["nmuber", "method", "copy", "json", "model_dump"])
def test_check_names_class_field_and_choices(field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Template(f"t.{{{field}}}").check(Registered, "the __topic__")
    assert str(caught.value) == (
        f"the __topic__ 't.{{{field}}}' of Registered needs the field {field!r}, "
        "which Registered does not have; its fields are: user, number"
    )


def test_check_follows_models() -> None:
    class Outer(BaseModel):
        address: Address

    with pytest.raises(InvalidEvent, match=r"'street', which Address does not have.*: city$"):
        Template("{address.street}").check(Outer, "the __key__")


@pytest.mark.parametrize("value", ["", "a.b", "a:b", "*", "#", "x#", "2024-01-01T10:00"])
def test_a_field_fills_no_more_than_a_segment_of_a_topic(value: str) -> None:
    template = TopicTemplate("user.{name}.events")
    with pytest.raises(InvalidEvent) as caught:
        template.fill(SimpleNamespace(name=value))
    assert str(caught.value) == (
        f"SimpleNamespace.name is {value!r}, but in the topic 'user.{{name}}.events' it must be "
        "one segment: not empty, without '.', ':', '*' and '#'; put another field or a property "
        "in its place, or make the whole topic one field"
    )
    assert TopicTemplate("user-{name}").fill(SimpleNamespace(name="ada")) == "user-ada"


def test_a_topic_that_is_one_field_may_have_many_segments() -> None:
    template = TopicTemplate("{destination}")
    assert template.fill(SimpleNamespace(destination="logs.app:db")) == "logs.app:db"
    with pytest.raises(InvalidEvent, match="destination is ''"):
        template.fill(SimpleNamespace(destination=""))


class Shadowed(BaseModel):
    tags: Any
    items: str = "mine"


@pytest.mark.parametrize("text", ["{tags.items}", "{tags.id}", "{tags.deep.id}"])
@pytest.mark.parametrize("around", ["", "-"], ids=["alone", "beside text"])
def test_an_entry_of_a_mapping_is_no_attribute_of_it(text: str, around: str) -> None:
    class Named(dict[str, Any]):
        pass

    for kind in (dict, Named):
        tags = kind(items="i", id="j", deep=kind(id="k"))
        expected = text.format(
            tags=SimpleNamespace(items="i", id="j", deep=SimpleNamespace(id="k"))
        )
        assert Template(text + around).fill(Shadowed(tags=tags)) == expected + around
    assert Template("{items}" + around).fill(Shadowed(tags={})) == "mine" + around


class Shape(Enum):
    ROUND = b"round"
    PAIR = (1, 2)


class Named:
    def __str__(self) -> str:
        return "named"


@dataclass
class Money:
    amount: int


class Root(RootModel[str]): ...


TEXTS = [
    ("text", "text"),
    ("", ""),
    (7, "7"),
    (-0.5, "-0.5"),
    (True, "True"),
    (Decimal("1.50"), "1.50"),
    (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05+00:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(3, 4), "03:04:00"),
    (timedelta(minutes=90), "1:30:00"),
    (IPv4Address("127.0.0.1"), "127.0.0.1"),
    (PurePosixPath("a/b"), "a/b"),
    (Named(), "named"),
    (b"abc", "abc"),
    ("größe".encode(), "größe"),
    (bytearray(b"abc"), "abc"),
    (Shape.ROUND, "round"),
]


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_every_value_that_has_a_text(value: object, text: str) -> None:
    event = SimpleNamespace(field=value)
    assert Template("{field}").fill(event) == text
    assert Template("a {field} b").fill(event) == f"a {text} b"


WITHOUT = [
    (SecretStr("hidden"), "SecretStr is a secret"),
    (SecretBytes(b"hidden"), "SecretBytes is a secret"),
    (Secret[int](7), "is a secret"),
    (b"\xff\xfe", "not UTF-8"),
    (memoryview(b"abc"), "memoryview is not one text"),
    (Address(city="Ulm"), "Address is not one text; name a field of it"),
    (Root("x"), "Root is not one text"),
    ([1], "list is not one text"),
    ((1, 2), "tuple is not one text"),
    ({"a": 1}, "dict is not one text"),
    ({1}, "set is not one text"),
    (frozenset({1}), "frozenset is not one text"),
    (Money(1), "Money is not one text"),
    (object(), "object is not one text"),
    (Shape.PAIR, "tuple is not one text"),
]


@pytest.mark.parametrize(("value", "why"), WITHOUT, ids=lambda one: type(one).__name__)
def test_one_that_has_none_is_refused_and_not_shown(value: object, why: str) -> None:
    event = SimpleNamespace(field=value)
    for template in ("{field}", "a {field} b"):
        with pytest.raises(InvalidEvent, match=r"SimpleNamespace\.field cannot stand") as caught:
            Template(template).fill(event)
        assert why in str(caught.value)
        assert "hidden" not in str(caught.value)


class Everything(BaseModel):
    secret: SecretStr
    maybe_secret: SecretBytes | None = None
    noted: Annotated[Secret[int], "noted"] = Secret[int](7)
    user: User
    tags: list[str]
    either: int | list[int] = 1
    raw: bytes = b""


@pytest.mark.parametrize("field", ["secret", "maybe_secret", "noted", "user", "tags"])
def test_what_can_have_no_text_is_refused_by_its_annotation(field: str) -> None:
    with pytest.raises(InvalidEvent, match=f"the key .* cannot have '{field}' in it"):
        Template(f"{{{field}}}").check(Everything, "the key")


@pytest.mark.parametrize("field", ["either", "raw", "user.id", "user.address"])
def test_what_may_have_one_is_not(field: str) -> None:
    if field == "user.address":
        with pytest.raises(InvalidEvent):
            Template("{user.address}").check(Everything, "the key")
        return
    Template(f"{{{field}}}").check(Everything, "the key")
