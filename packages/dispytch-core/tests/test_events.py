"""`EventBase` beside everything that pydantic lets a user do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    computed_field,
    model_validator,
)

from dispytch.events import EventBase

T = TypeVar("T")


class Plain(EventBase):
    __topic__ = "topic"
    __event_type__ = "type"

    number: int


class Greedy(EventBase):
    """Takes every name that an event could be tempted to take for itself."""

    id: int
    type: str
    topic: str
    key: str
    timestamp: float
    source: str
    headers: dict[str, str]
    body: str


class Frozen(EventBase):
    model_config = ConfigDict(frozen=True)

    number: int


class Open(EventBase):
    model_config = ConfigDict(extra="allow", validate_assignment=True)

    number: int


class Aliased(EventBase):
    number: int = Field(alias="theNumber")


class Computed(EventBase):
    number: int
    _hidden: int = PrivateAttr(5)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def doubled(self) -> int:
        return 2 * self.number


class PostInit(EventBase):
    number: int
    _seen: int = PrivateAttr(0)

    def model_post_init(self, context: Any, /) -> None:
        self._seen = self.number


class Validated(EventBase):
    model_config = ConfigDict(validate_assignment=True)

    number: int

    @model_validator(mode="after")
    def _is_positive(self) -> Validated:
        assert self.number > 0
        return self


class Change(EventBase, Generic[T]):
    __topic__ = "changes"
    __event_type__ = "change"

    value: T


class Child(Plain):
    __event_type__ = "child"

    other: int = 0


class Timed(BaseModel):
    at: int = 0


class Mixed(Timed, Plain):
    pass


class Annotated(EventBase):
    """Class attributes, annotated as one does."""

    __topic__: ClassVar[str] = "annotated"
    __event_type__: str = "annotated"  # type: ignore[misc]

    number: int


MAKERS: list[Callable[[], EventBase]] = [
    lambda: Plain(number=1),
    lambda: Greedy(
        id=1, type="a", topic="b", key="c", timestamp=1.5, source="d", headers={}, body="e"
    ),
    lambda: Frozen(number=1),
    lambda: Open.model_validate({"number": 1, "more": 2}),
    lambda: Aliased(theNumber=1),
    lambda: Computed(number=1),
    lambda: PostInit(number=1),
    lambda: Validated(number=1),
    lambda: Change[int](value=1),
    lambda: Child(number=1),
    lambda: Mixed(number=1),
    lambda: Annotated(number=1),
    lambda: Plain.model_construct(number=1),
]
each_event = pytest.mark.parametrize("make", MAKERS, ids=lambda make: type(make()).__name__)


@each_event
def test_it_keeps_the_id_and_time_it_was_given(make: Callable[[], EventBase]) -> None:
    event, other = make(), make()
    first = (event.__event_id__, event.__event_time__)
    assert UUID(first[0]).version == 4
    assert first[1].endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(first[1])).total_seconds() < 60
    assert (event.__event_id__, event.__event_time__) == first
    assert event.__event_id__ != other.__event_id__


@each_event
def test_the_id_shows_nowhere(make: Callable[[], EventBase]) -> None:
    event, other = make(), make()
    as_json, as_text, as_dict = event.model_dump_json(), repr(event), dict(event)
    event.__event_id__  # noqa: B018
    assert event == other
    assert other == event
    assert event.model_dump_json() == as_json
    assert TypeAdapter(type(event)).dump_json(event).decode() == as_json
    assert (repr(event), dict(event)) == (as_text, as_dict)
    assert event.model_dump() == other.model_dump()


@each_event
@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda event: event.model_copy(),
        lambda event: event.model_copy(deep=True),
        lambda event: event.model_copy(update={"number": 2}),
        lambda event: type(event).model_validate(event.model_dump(by_alias=True, round_trip=True)),
    ],
    ids=["copy", "deepcopy", "model_copy", "deep model_copy", "updated model_copy", "validated"],
)
def test_a_copy_is_another_event(
    make: Callable[[], EventBase], copied: Callable[[EventBase], EventBase]
) -> None:
    event = make()
    before = event.__event_id__
    assert copied(event).__event_id__ != before
    assert event.__event_id__ == before


@pytest.mark.parametrize("emitted", [True, False], ids=["emitted", "not yet emitted"])
def test_a_pickled_event_is_the_same_event(emitted: bool) -> None:
    event = Open.model_validate({"number": 1, "more": 2})
    if emitted:
        event.__event_id__  # noqa: B018
    again = pickle.loads(pickle.dumps(event))
    assert again == event
    assert (again.__event_id__, again.__event_time__) == (
        event.__event_id__,
        event.__event_time__,
    )


@pytest.mark.parametrize("model", [Open, Validated, Plain])
def test_a_changed_field_leaves_the_id_alone(model: type[Any]) -> None:
    event = model(number=1)
    before = event.__event_id__
    event.number = 7
    assert event.__event_id__ == before
    assert event.model_dump() == {"number": 7}


def test_a_frozen_event_keeps_its_hash() -> None:
    event = Frozen(number=1)
    before = hash(event)
    event.__event_id__  # noqa: B018
    assert hash(event) == before
    assert {event: 1}[Frozen(number=1)] == 1


def test_emitted_events_may_be_nested_in_a_union() -> None:
    class Envelope(EventBase):
        inner: Plain | Child
        several: list[Plain | Aliased | int]

    plain, child = Plain(number=1), Child(number=2)
    event = Envelope(inner=child, several=[plain, 3])
    for one in (plain, child, event):
        one.__event_id__  # noqa: B018
    body = event.model_dump_json()
    assert body == '{"inner":{"number":2,"other":0},"several":[{"number":1},3]}'
    assert Envelope.model_validate_json(body) == event


def test_post_init_and_private_attributes_work_as_ever() -> None:
    assert PostInit(number=3)._seen == 3
    assert Computed(number=3)._hidden == 5


def test_class_attributes_are_no_fields_and_are_inherited() -> None:
    assert set(Plain.model_fields) == {"number"}
    assert (Child.__topic__, Child.__event_type__) == ("topic", "child")
    assert (Change[int].__topic__, Change[int].__event_type__) == ("changes", "change")
    assert (Annotated.__event_type__, Annotated(number=1).__event_type__) == (
        "annotated",
        "annotated",
    )
    assert Plain.__key__ is None
    assert Plain.__backend_config__ is None
    assert not hasattr(Greedy, "__topic__")


def test_discriminated_unions_of_events_validate() -> None:
    class Cat(EventBase):
        kind: Literal["cat"] = "cat"

    class Dog(EventBase):
        kind: Literal["dog"] = "dog"

    pet: TypeAdapter[Cat | Dog] = TypeAdapter(Cat | Dog)
    assert pet.validate_json(b'{"kind":"dog"}') == Dog()
