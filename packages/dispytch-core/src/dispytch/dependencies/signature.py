"""What a callable asks for: its parameters, with annotations that are real types."""

import builtins
import sys
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, Signature, currentframe, signature
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from dispytch.dependencies.callables import function_of

UNRESOLVABLE = (NameError, AttributeError, SyntaxError, TypeError)
"""What an annotation in a string may raise when it is evaluated."""

UNKNOWN: Final = object()
"""In place of the type of something that says nothing of it."""


def parameters_of(target: Callable[..., Any]) -> Sequence[Parameter]:
    """The parameters in their order; their annotations may still be strings.

    Raises:
        TypeError, ValueError: the signature cannot be read, as that of some built-in classes.
    """
    return tuple(signature(target).parameters.values())


def annotation_of(target: Callable[..., Any], parameter: Parameter) -> Any:
    """The annotation of one of ``target``'s parameters, with every name in a string looked up.

    Names are found in the module, in the closure, and in the enclosing function while it still
    runs, as in a test. Other annotations of ``target`` are not looked at.

    Raises:
        One of `UNRESOLVABLE`.
    """
    return _looked_up(target, parameter.annotation)


def returned_by(target: Callable[..., Any]) -> Any:
    """The return annotation of ``target``; `UNKNOWN` where it has none that can be looked up."""
    try:
        annotation = signature(target).return_annotation
        return UNKNOWN if annotation is Signature.empty else _looked_up(target, annotation)
    except (*UNRESOLVABLE, ValueError):
        return UNKNOWN


def _looked_up(target: Callable[..., Any], annotation: Any) -> Any:
    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    return get_type_hints(holder, globalns=_names(target), include_extras=True)["it"]


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
    # An alias made by a `type` statement.
    return getattr(annotation, "__value__", None)


def _names(target: Any) -> dict[str, Any]:
    function = function_of(target)
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    names = dict(vars(module)) if module is not None else {}
    if function is not None:
        names |= function.__globals__ | _enclosing(function) | _closure(function)
    # The functions of a named tuple have none of their own.
    return names | {"__builtins__": builtins}


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
