"""The class in which a method is written, and what its type parameters stand for there."""

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from types import FunctionType, MethodType
from typing import Any, get_origin

from dispytch.dependencies.callables import is_mock, layers_of
from dispytch.dependencies.generics import Variables, bound_in, parts_of


@dataclass(frozen=True, slots=True)
class Place:
    """The class that a callable's annotations are written in, and its type parameters."""

    owner: type
    variables: Variables


def place_of(target: Any) -> Place | None:
    """Where a method, an object with ``__call__``, or a class has its parameters from.

    None for a function, and for a method whose class cannot be found.
    """
    for layer in layers_of(target):
        for kind, function in _called(layer):
            owner = _owner(parts_of(kind)[0] or kind, function)
            if owner is not None:
                return Place(owner, _variables(kind, owner))
    return None


def _called(layer: Any) -> Iterator[tuple[Any, Any]]:
    """The class, maybe with type arguments, and the function that a layer calls."""
    if isinstance(layer, MethodType):
        holder = layer.__self__
        yield holder if isinstance(holder, type) else _class_of(holder), layer.__func__
    elif isinstance(layer, type) or isinstance(get_origin(layer), type):
        *_, function = layers_of(layer)
        yield layer, function
    elif isinstance(type(layer).__call__, FunctionType) and not is_mock(layer):
        yield _class_of(layer), type(layer).__call__


def _class_of(holder: Any) -> Any:
    """Its class; with type arguments if it was made with those."""
    return getattr(holder, "__dict__", {}).get("__orig_class__", type(holder))


def _variables(kind: Any, owner: type) -> Variables:
    variables = dict(bound_in(kind, owner))
    if is_dataclass(owner):
        # What it is made of has been collected from the classes above it, as it was written there.
        above = [bound_in(kind, one) for one in owner.__mro__[1:]]
        for name, value in (item for found in above for item in found.items()):
            if variables.setdefault(name, value) != value:
                variables[name] = name
    return variables


def _owner(kind: Any, function: Any) -> type | None:
    above: tuple[type, ...] = kind.__mro__
    for one in above:
        for value in vars(one).values():
            if function is value or function is getattr(value, "__func__", None):
                return one
    return None
