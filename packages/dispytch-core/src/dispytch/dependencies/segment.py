"""How a parameter asks for a segment of the event's topic."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from dispytch.dependencies.path import Path
from dispytch.events import Event
from dispytch.exceptions import DependencyError, ParameterInvalid
from dispytch.failing import failure_of, kind_and_place
from dispytch.faults import faults_of
from dispytch.printable import TEXT_LIMIT, printable, quoted
from dispytch.serialization.adapters import Unvalidatable, adapter_of
from dispytch.topics import TopicPattern


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMarker:
    """What `TopicSegment` leaves in a signature."""

    alias: str | None
    constraints: FieldInfo


def TopicSegment(  # noqa: N802
    *,
    alias: str | None = None,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    multiple_of: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    pattern: str | None = None,
    strict: bool | None = None,
) -> Any:
    """Ask for a segment of the topic: ``Annotated[int, TopicSegment()]``, or ``= TopicSegment()``.

    The handler's topic names it: ``{order_id}`` in ``"order:{order_id}:paid"`` is for the parameter
    ``order_id`` of the handler, or of one of its dependencies. Its text is validated as the
    annotation says, by pydantic; one that is refused makes the event invalid: it is given up at
    once, as its failure policy says, and no retry is made.

    alias: the name in the topic, where it is not the parameter's.
    gt, ge, lt, le, multiple_of, min_length, max_length, pattern, strict: as in pydantic's `Field`,
        which may stand beside it in the annotation, too.

    Whether the topic has such a field is checked when the listener starts.
    """
    constraints: Any = Field(
        gt=gt,
        ge=ge,
        lt=lt,
        le=le,
        multiple_of=multiple_of,
        min_length=min_length,
        max_length=max_length,
        pattern=pattern,
        strict=strict,
    )
    return SegmentMarker(alias, constraints)


def segment_reader(
    marker: SegmentMarker,
    annotation: Any,
    parameter: Parameter,
    path: Path,
    topic: str,
    pattern: TopicPattern | None,
) -> Callable[[Event[Any]], Any]:
    """What gives the value of a parameter that asks for a segment.

    Raises:
        DependencyError: the handler's topic has no such field, or pydantic cannot validate the
            annotation.
    """
    name = parameter.name if marker.alias is None else marker.alias
    place = dict(() if pattern is None else pattern.fields).get(name)
    if place is None:
        raise DependencyError(f"{path}: {_no_such_field(name, topic, pattern)}")
    asked = str if annotation is Parameter.empty else annotation
    adapter = _adapter(marker, asked, path)

    def read(event: Event[Any]) -> Any:
        text = event.segments[name]
        try:
            return adapter.validate_strings(text)
        except ValidationError as error:
            why = f"is refused: {printable(faults_of(error), TEXT_LIMIT)}"
        except BaseException as error:
            failure_of(error)
            why = f"has a validator that failed: {kind_and_place(error)}"
        raise ParameterInvalid(
            f"{quoted(text)}, the {{{name}}} of topic {quoted(event.topic)}, {why}"
        )

    return read


def _adapter(marker: SegmentMarker, annotation: Any, path: Path) -> TypeAdapter[Any]:
    constrained: Any = Annotated[annotation, marker.constraints]
    try:
        return adapter_of(constrained)
    except Unvalidatable as error:
        raise DependencyError(
            f"{path}: pydantic cannot validate a segment as {annotation!r}: {error}"
        ) from error


def _no_such_field(name: str, topic: str, pattern: TopicPattern | None) -> str:
    known = ", ".join(f"{{{field}}}" for field, _ in pattern.fields) if pattern else ""
    return (
        f"the topic {topic!r} has no field {{{name}}}"
        f"{f', but {known}' if known else ''}; name it there, as in 'user.{{{name}}}', or say "
        "TopicSegment(alias=...)"
    )
