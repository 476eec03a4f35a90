"""Compiling a handler: everything that its runs need is found, or refused, once."""

from collections.abc import Callable, Collection
from inspect import Parameter
from typing import Any, get_args, get_origin

from dispytch.dependencies.callables import full_name_of, function_of, identity_of
from dispytch.dependencies.dependency import Marker
from dispytch.dependencies.kind import Kind, kind_of
from dispytch.dependencies.path import Path
from dispytch.dependencies.plan import (
    Argument,
    Call,
    Constant,
    Plan,
    Provided,
    Result,
    Source,
    TheEvent,
)
from dispytch.dependencies.signature import UNRESOLVABLE, annotation_of, layers, parameters_of
from dispytch.dependencies.yields import second_yield
from dispytch.events import Event
from dispytch.exceptions import ConfigurationError, DependencyError, InvalidHandler

_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def compile_handler(handler: Callable[..., Any], *, provided: Collection[type] = ()) -> Plan:
    """Find out how to provide every parameter of a handler and of its dependencies.

    ``provided`` are the types that a parameter may ask for by its annotation alone. A parameter
    that nothing provides keeps its default; ``*args`` and ``**kwargs`` stay empty.

    A bare ``Event`` asks for plain data in the handler; in a dependency it takes the body as the
    others ask for it.

    Raises:
        InvalidHandler: the handler is nothing that can be called with an event, or different body
            types are asked for.
        DependencyError: a parameter that nothing provides, a cycle, a bad generator; the text
            gives the path from the handler to it.
    """
    path = Path.to_handler(handler)
    if isinstance(handler, type):
        raise InvalidHandler(f"{path} is a class; register a function or a bound method")
    kind = kind_of(handler)
    if kind.is_generator:
        raise InvalidHandler(f"{path} is a generator; a handler must not yield")
    graph = _Graph(provided)
    return graph.plan(graph.call(kind, handler, path, thread=not kind.is_async))


class _Graph:
    """What has been found so far; a step stands after those that it needs."""

    def __init__(self, provided: Collection[type]) -> None:
        self._provided = provided
        self._steps: list[Call] = []
        self._shared: dict[object, Result] = {}
        self._asked: set[type] = set()
        self._takes_event = False
        self._bodies: list[tuple[Path, Any]] = []

    def plan(self, handler: Call) -> Plan:
        """The plan, when every call has been found."""
        return Plan(
            steps=tuple(self._steps),
            handler=handler,
            body=self._bodies[0][1] if self._bodies else Any,
            takes_event=self._takes_event,
            provided=frozenset(self._asked),
        )

    def call(self, kind: Kind, func: Callable[..., Any], path: Path, *, thread: bool) -> Call:
        """The call of a handler or dependency, with the steps that it needs before it."""
        return Call(
            name=full_name_of(func),
            func=kind.func,
            arguments=self._arguments(func, path),
            is_async=kind.is_async,
            is_generator=kind.is_generator,
            thread=thread,
        )

    def _arguments(self, func: Callable[..., Any], path: Path) -> tuple[Argument, ...]:
        arguments: list[Argument] = []
        by_position = True
        for parameter in _parameters(func, path):
            source = self._source(func, parameter, path.parameter(parameter.name))
            by_position &= source is not None and parameter.kind is not Parameter.KEYWORD_ONLY
            if source is not None:
                arguments.append(Argument(source, None if by_position else parameter.name))
        return tuple(arguments)

    def _source(self, func: Callable[..., Any], parameter: Parameter, path: Path) -> Source | None:
        """What provides a parameter; None where it keeps its default."""
        if isinstance(parameter.default, Marker):
            return self._result(parameter.default, path)
        for layer in layers(_annotation(func, parameter, path)):
            source = self._source_by(layer, path)
            if source is not None:
                return source
        if parameter.default is Parameter.empty:
            raise DependencyError(_nothing_provides(parameter, path, self._provided))
        # A parameter without keyword cannot be left out when another one follows.
        only_by_position = parameter.kind is Parameter.POSITIONAL_ONLY
        return Constant(parameter.default) if only_by_position else None

    def _source_by(self, annotation: Any, path: Path) -> Source | None:
        for note in reversed(_notes(annotation)):
            if isinstance(note, Marker):
                return self._result(note, path)
        if annotation is Event or get_origin(annotation) is Event:
            return self._event(annotation, path)
        if isinstance(annotation, type) and annotation in self._provided:
            self._asked.add(annotation)
            return Provided(annotation)
        return None

    def _event(self, annotation: Any, path: Path) -> TheEvent:
        self._takes_event = True
        body = next(iter(get_args(annotation)), Any)
        if body is not Any or path.is_of_handler:
            self._bodies.append((path, body))
            first_path, first = self._bodies[0]
            if body != first:
                raise InvalidHandler(
                    f"{path} asks for {_event_of(body)}, but {first_path} for {_event_of(first)}: "
                    "an event has one body; let both ask for the same type"
                )
        return TheEvent()

    def _result(self, marker: Marker, path: Path) -> Result:
        """The step that makes a dependency: the one there is, or a new one."""
        path = path.dependency(marker.func)
        if (cycle := path.cycle()) is not None:
            raise DependencyError(f"{path}: a cycle, {cycle}; one of them must do without the next")
        key = (identity_of(marker.func), marker.thread)
        if marker.use_cache and key in self._shared:
            return self._shared[key]
        step = self.call(_checked_kind(marker, path), marker.func, path, thread=marker.thread)
        self._steps.append(step)
        result = Result(len(self._steps) - 1)
        if marker.use_cache:
            self._shared[key] = result
        return result


def _parameters(func: Callable[..., Any], path: Path) -> list[Parameter]:
    try:
        parameters = parameters_of(func)
    except (TypeError, ValueError) as error:
        raise _refused(
            path, f"its parameters cannot be read ({error}); call it from a function of your own"
        ) from error
    if not isinstance(func, type) and tuple(one.kind for one in parameters) == _VARIADIC:
        raise _refused(
            path,
            "it takes only *args and **kwargs, which hide what it needs; "
            "if it is a decorator's wrapper, give it functools.wraps",
        )
    return [one for one in parameters if one.kind not in _VARIADIC]


def _annotation(func: Callable[..., Any], parameter: Parameter, path: Path) -> Any:
    raw = parameter.annotation
    if raw is Parameter.empty or any(isinstance(note, Marker) for note in _notes(raw)):
        return raw
    try:
        return annotation_of(func, parameter)
    except UNRESOLVABLE as error:
        raise DependencyError(
            f"{path}: its annotation {raw!r} cannot be evaluated ({error}); import or define what "
            "it names at module level, outside of `if TYPE_CHECKING`"
        ) from error


def _notes(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


def _checked_kind(marker: Marker, path: Path) -> Kind:
    kind = kind_of(marker.func)
    if marker.thread and kind.is_async:
        raise DependencyError(f"{path} is async; thread=True is for functions that block")
    function = function_of(marker.func) if kind.is_generator else None
    line = second_yield(function) if function is not None else None
    if line is not None:
        raise DependencyError(
            f"{path} yields a second time, in line {line}; it must yield exactly once: "
            "what follows the yield is the teardown"
        )
    return kind


def _refused(path: Path, why: str) -> ConfigurationError:
    kind = InvalidHandler if path.is_of_handler else DependencyError
    return kind(f"{path}: {why}")


def _nothing_provides(parameter: Parameter, path: Path, provided: Collection[type]) -> str:
    if parameter.name == "self":
        return f"{path}: nothing provides it; use the bound method of an object instead"
    types = "".join(f", {one.__name__}" for one in provided)
    return (
        f"{path}: nothing provides it; annotate it as Annotated[..., Dependency(...)] or with one "
        f"of Event, Event[...]{types}; or give it a default"
    )


def _event_of(body: Any) -> str:
    return "plain Event" if body is Any else f"Event[{getattr(body, '__qualname__', body)}]"
