"""Values as they stand in a topic, a key or a routing key."""

from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

_NUMBERS: Final = (int, float)
_PARTS: Final = (BaseModel, list, tuple, dict, set, frozenset)


class NoText(TypeError):
    """A value that is not one text; the text says why, and what to do."""


def text_of(value: Any) -> str:
    """The value as text: an enum's member as its value, bytes as the UTF-8 that they are.

    Everything else is as `str` has it, if its class says what that is.

    Raises:
        NoText: it has none: a secret, a model, a collection, an object without a text of its own.
    """
    if isinstance(value, Enum):
        return text_of(value.value)
    if isinstance(value, bytes | bytearray):
        return _decoded(value)
    whole: object = value
    if (fault := _fault_of(type(whole))) is not None:
        raise NoText(fault)
    return str(value)


def check_text(annotation: Any) -> None:
    """Check that values of a field can be a text, as far as its annotation tells.

    Raises:
        NoText: none of them can.
    """
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        members = [one for one in get_args(annotation) if one is not NoneType]
        annotation = members[0] if len(members) == 1 else None
    kind = get_origin(annotation) or annotation
    known = isinstance(kind, type) and (hasattr(kind, "get_secret_value") or kind in _PARTS)
    if known or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        raise NoText(_fault_of(kind))


def _fault_of(kind: type) -> str | None:
    name = kind.__qualname__
    if hasattr(kind, "get_secret_value"):
        return f"a {name} is a secret, which would be shown, or be the same for all; take it out"
    whole = issubclass(kind, _PARTS) or kind.__str__ is object.__str__
    if issubclass(kind, _NUMBERS) or not whole:
        return None
    return f"a {name} is not one text; name a field of it, or make a property that gives a text"


def _decoded(value: bytes | bytearray) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NoText(
            "these bytes are not UTF-8; make a property that gives a text, such as their hex()"
        ) from None
