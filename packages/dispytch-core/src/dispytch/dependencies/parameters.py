"""The parameters of what is compiled, read with errors that name the path to them."""

import re
from collections.abc import Callable, Collection, Iterator
from inspect import Parameter
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from dispytch.dependencies.callables import is_mock
from dispytch.dependencies.dependency import Dependency, Marker
from dispytch.dependencies.generics import Unbound, settled, unaliased
from dispytch.dependencies.header import Header, HeaderMarker
from dispytch.dependencies.path import Path
from dispytch.dependencies.segment import SegmentMarker, TopicSegment
from dispytch.dependencies.signature import UNRESOLVABLE, annotation_of, layers, parameters_of
from dispytch.exceptions import ConfigurationError, DependencyError, InvalidHandler

_VARIADIC: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_CALLS: Final = (Dependency, Header, TopicSegment)
_ASKS: Final = re.compile(r"\b(?:(?:Dependency|Header|TopicSegment)\(|Event\[)")


def parameters(func: Callable[..., Any], path: Path) -> list[Parameter]:
    """The parameters that can be provided; ``*args`` and ``**kwargs`` of a dependency stay empty.

    Raises:
        InvalidHandler, DependencyError: they cannot be read.
    """
    try:
        found = parameters_of(func)
    except (TypeError, ValueError) as error:
        raise _refused(
            path, f"its parameters cannot be read ({error}); call it from a function of your own"
        ) from error
    variadic = [one for one in found if one.kind in _VARIADIC]
    if len(variadic) == len(found) == 2 and not (_is_class(func) or is_mock(func)):
        raise _refused(
            path,
            "it takes only *args and **kwargs, which hide what it needs; "
            "if it is a decorator's wrapper, give it functools.wraps",
        )
    if variadic and path.is_of_handler:
        raise _refused(
            path,
            f"it takes {variadic[0]}, and nothing is given that way; let it name what it needs, "
            "as in (event: Event[...], db: Annotated[Db, Dependency(get_db)])",
        )
    return [one for one in found if one.kind not in _VARIADIC]


def annotation(func: Callable[..., Any], parameter: Parameter, path: Path) -> Any:
    """The annotation of a parameter, evaluated where that matters.

    A parameter with a default keeps it when its annotation cannot be evaluated, as if it had none;
    but not when the text of the annotation asks for something.

    Raises:
        DependencyError: it cannot be evaluated.
    """
    raw = parameter.annotation
    if raw is Parameter.empty or any(isinstance(note, Marker) for note in notes(raw)):
        return raw
    try:
        found = annotation_of(func, parameter)
        # Aliases are evaluated when they are first looked into.
        tuple(layers(found))
        return found
    except UNRESOLVABLE as error:
        if _keeps_its_default(parameter):
            return Parameter.empty
        raise DependencyError(
            f"{path}: its annotation {raw!r} cannot be evaluated ({error}); import or define what "
            "it names at module level, outside of `if TYPE_CHECKING`"
        ) from error


def _keeps_its_default(parameter: Parameter) -> bool:
    if parameter.default is Parameter.empty or is_marker(parameter.default):
        return False
    return not _ASKS.search(str(parameter.annotation))


def is_marker(value: object) -> bool:
    """Whether it says where a parameter comes from."""
    return isinstance(value, (Marker, HeaderMarker, SegmentMarker))


def check_alone(func: Callable[..., Any], parameter: Parameter, path: Path) -> None:
    """Refuse a marker beside a default that is one, too: only one of them could count.

    Raises:
        DependencyError: there are two.
    """
    try:
        asked = annotation_of(func, parameter)
        check_markers(asked, parameter, path)
    except UNRESOLVABLE:
        # The default alone says where it comes from; the annotation is for type checkers.
        return


def check_markers(asked: Any, parameter: Parameter, path: Path) -> None:
    """Refuse markers that could be taken for others: one in a union, one beside a default.

    Raises:
        DependencyError: there is one.
    """
    in_union = False
    layer: Any = None
    for layer in layers(asked):
        in_union |= get_origin(layer) in (Union, UnionType)
        found = [note for note in notes(layer) if is_marker(note)]
        if found and is_marker(parameter.default):
            raise DependencyError(
                f"{path}: its annotation says where it comes from, and so does its default; keep "
                "one of them"
            )
        if in_union and any(isinstance(note, Marker) for note in found):
            raise DependencyError(
                f"{path}: Annotated stands for one member of the union, and not for the parameter; "
                "put it around the union: Annotated[... | None, Dependency(...)]"
            )
    # What is within the innermost layer is part of a type, and asked for by nobody.
    if any(is_marker(note) for part in _parts(layer) for note in notes(part)):
        raise DependencyError(
            f"{path}: Annotated stands within {_shown(layer)}, and not for the parameter; put it "
            "around the whole type: Annotated[..., Dependency(...)], or Header, or TopicSegment"
        )


def _parts(annotation: Any) -> Iterator[Any]:
    """All that an annotation is made of, but itself."""
    for part in get_args(annotation):
        yield part
        yield from _parts(part)


def body_of(asked: Any, path: Path) -> Any:
    """The type that an ``Event`` asks for as its body.

    Raises:
        InvalidHandler: it has a type variable that stands for nothing.
    """
    for body in get_args(asked):
        try:
            return unaliased(settled(unaliased(body)))
        except (Unbound, *UNRESOLVABLE) as error:
            raise InvalidHandler(
                f"{path} asks for {_shown(asked)}, and {error}; write the type, as in "
                "Event[Order], or register the method of a subclass that says it, as in "
                "class Orders(Base[Order]), or give the type variable a default or a bound"
            ) from error
    return Any


def concrete(asked: Any, path: Path) -> Any:
    """A type that pydantic is to validate, without type variables.

    Raises:
        DependencyError: one of them stands for nothing.
    """
    try:
        return settled(asked)
    except (Unbound, *UNRESOLVABLE) as error:
        raise DependencyError(
            f"{path} is validated as {_shown(asked)}, and {error}; write the type, or say it in a "
            "subclass, as in class Orders(Base[Order])"
        ) from error


def _shown(asked: Any) -> str:
    return str(asked).replace("dispytch.events.", "")


def notes(annotation: Any) -> tuple[Any, ...]:
    """What stands beside the type in an ``Annotated``."""
    return getattr(annotation, "__metadata__", ())


def check_note(note: object, path: Path) -> None:
    """Refuse a marker that somebody has forgotten to call.

    Raises:
        DependencyError: it is one.
    """
    for call in _CALLS:
        if note is call:
            raise DependencyError(f"{path}: call {call.__name__}, as in {call.__name__}(...)")


def nothing_provides(
    parameter: Parameter, path: Path, types: Collection[type], *, to_app: bool, batch: bool
) -> DependencyError:
    """The error for a parameter that nothing provides.

    ``types`` are those that could be asked for; ``to_app``: it is one of an app-scoped dependency;
    ``batch``: the handler takes batches.
    """
    if parameter.name == "self":
        return DependencyError(
            f"{path}: nothing provides it; use the bound method of an object instead"
        )
    names = [one.__name__ for one in types]
    if to_app:
        return DependencyError(
            f"{path}: nothing provides it to an app-scoped dependency; annotate it as "
            "Annotated[..., Dependency(..., scope='app')]"
            + (f" or with one of {', '.join(names)}" if names else "")
            + "; or give it a default"
        )
    if batch:
        return DependencyError(
            f"{path}: nothing provides it; annotate it as Annotated[..., Dependency(...)] or with "
            f"one of {', '.join(['list[Event[...]]', *names])}; or give it a default"
        )
    names = ["Event", "Event[...]", *names, "Message", "Delivery"]
    return DependencyError(
        f"{path}: nothing provides it; annotate it as Annotated[..., Dependency(...)] or with one "
        f"of {', '.join(names)}; or give it a default; or, if a middleware provides it, declare "
        f"that with @provides({getattr(parameter.annotation, '__name__', '...')})"
    )


def _is_class(func: Any) -> bool:
    return isinstance(get_origin(func) or func, type)


def _refused(path: Path, why: str) -> ConfigurationError:
    kind = InvalidHandler if path.is_of_handler else DependencyError
    return kind(f"{path}: {why}")
