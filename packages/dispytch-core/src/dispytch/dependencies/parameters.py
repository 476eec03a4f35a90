"""The parameters of what is compiled, read with errors that name the path to them."""

from collections.abc import Callable, Collection
from inspect import Parameter
from typing import Any, Final

from dispytch.dependencies.dependency import Dependency, Marker
from dispytch.dependencies.header import Header
from dispytch.dependencies.path import Path
from dispytch.dependencies.segment import TopicSegment
from dispytch.dependencies.signature import UNRESOLVABLE, annotation_of, parameters_of
from dispytch.exceptions import ConfigurationError, DependencyError, InvalidHandler

_VARIADIC: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_CALLS: Final = (Dependency, Header, TopicSegment)


def parameters(func: Callable[..., Any], path: Path) -> list[Parameter]:
    """The parameters that can be provided; ``*args`` and ``**kwargs`` stay empty.

    Raises:
        InvalidHandler, DependencyError: they cannot be read.
    """
    try:
        found = parameters_of(func)
    except (TypeError, ValueError) as error:
        raise _refused(
            path, f"its parameters cannot be read ({error}); call it from a function of your own"
        ) from error
    if not isinstance(func, type) and tuple(one.kind for one in found) == _VARIADIC:
        raise _refused(
            path,
            "it takes only *args and **kwargs, which hide what it needs; "
            "if it is a decorator's wrapper, give it functools.wraps",
        )
    return [one for one in found if one.kind not in _VARIADIC]


def annotation(func: Callable[..., Any], parameter: Parameter, path: Path) -> Any:
    """The annotation of a parameter, evaluated where that matters.

    Raises:
        DependencyError: it cannot be evaluated.
    """
    raw = parameter.annotation
    if raw is Parameter.empty or any(isinstance(note, Marker) for note in notes(raw)):
        return raw
    try:
        return annotation_of(func, parameter)
    except UNRESOLVABLE as error:
        raise DependencyError(
            f"{path}: its annotation {raw!r} cannot be evaluated ({error}); import or define what "
            "it names at module level, outside of `if TYPE_CHECKING`"
        ) from error


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


def _refused(path: Path, why: str) -> ConfigurationError:
    kind = InvalidHandler if path.is_of_handler else DependencyError
    return kind(f"{path}: {why}")
