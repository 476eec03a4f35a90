"""What a callable asks for: its parameters, with annotations that are real types."""

import builtins
import sys
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, Signature, currentframe, signature
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from dispytch.dependencies.callables import function_of, is_mock
from dispytch.dependencies.generics import substituted, unaliased
from dispytch.dependencies.owners import Place, place_of

if sys.version_info >= (3, 14):
    from annotationlib import Format

UNRESOLVABLE = (NameError, AttributeError, SyntaxError, TypeError, RecursionError)
"""What an annotation in a string may raise when it is evaluated."""

UNKNOWN: Final = object()
"""In place of the type of something that says nothing of it."""


def parameters_of(target: Callable[..., Any]) -> Sequence[Parameter]:
    """The parameters in their order; their annotations may still be strings.

    Raises:
        TypeError, ValueError: the signature cannot be read, as that of some built-in classes.
    """
    return tuple(_signature(target).parameters.values())


def annotation_of(target: Callable[..., Any], parameter: Parameter) -> Any:
    """The annotation of one of ``target``'s parameters, with every name in a string looked up.

    Names are found in the module, in the closure, and in the enclosing function while it still
    runs, as in a test; type variables of a generic class stand for what its subclass, or its type
    arguments, say. Other annotations of ``target`` are not looked at.

    Raises:
        One of `UNRESOLVABLE`.
    """
    return _looked_up(target, parameter.annotation)


def returned_by(target: Callable[..., Any]) -> Any:
    """The return annotation of ``target``; `UNKNOWN` where it has none that can be looked up."""
    try:
        annotation = _signature(target).return_annotation
        return UNKNOWN if annotation is Signature.empty else _looked_up(target, annotation)
    except (*UNRESOLVABLE, ValueError):
        return UNKNOWN


def _signature(target: Any) -> Signature:
    """Its signature; what a mock takes is known only where it was made to check it."""
    if is_mock(target):
        told = type(target).__dict__.get("__signature__")
        return told if isinstance(told, Signature) else Signature()
    if isinstance(get_origin(target), type):
        target = get_origin(target)
    if sys.version_info >= (3, 14):
        return signature(target, annotation_format=Format.FORWARDREF)
    return signature(target)


def _looked_up(target: Callable[..., Any], annotation: Any) -> Any:
    def holder() -> None: ...

    place = place_of(target)
    holder.__annotations__ = {"it": annotation}
    names = _names(target, place)
    found = get_type_hints(holder, globalns=names, include_extras=True)["it"]
    return found if place is None else substituted(found, place.variables)


def layers(annotation: Any) -> Iterator[Any]:
    """An annotation, then what is within its aliases, ``Annotated`` and ``| None``, one by one."""
    while annotation is not None:
        yield annotation
        annotation = _within(annotation)


def _within(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin is Annotated:
        return annotation.__origin__
    if origin in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return members[0] if len(members) == 1 else None
    stands_for = unaliased(annotation)
    return None if stands_for is annotation else stands_for


def _names(target: Any, place: Place | None) -> dict[str, Any]:
    function = function_of(target)
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    names = dict(vars(module)) if module is not None else {}
    if function is not None:
        names |= function.__globals__ | _enclosing(function) | _closure(function)
        names |= _type_parameters(function)
    if place is not None:
        names = {**vars(place.owner), **names, **_type_parameters(place.owner)}
    # The functions of a named tuple have none of their own.
    return names | {"__builtins__": builtins}


def _type_parameters(target: Any) -> dict[str, Any]:
    """Those that stand in brackets behind its name."""
    return {one.__name__: one for one in getattr(target, "__type_params__", ())}


def _closure(function: FunctionType) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            names[name] = cell.cell_contents
        except ValueError:
            continue
    return names


def _enclosing(function: FunctionType) -> dict[str, Any]:
    """The variables of the function that ``function`` is defined in, if it is running now."""
    outer, local, _ = function.__qualname__.rpartition(".<locals>.")
    frame = currentframe() if local else None
    while frame is not None:
        if frame.f_code.co_qualname == outer and frame.f_globals is function.__globals__:
            return dict(frame.f_locals)
        frame = frame.f_back
    return {}
