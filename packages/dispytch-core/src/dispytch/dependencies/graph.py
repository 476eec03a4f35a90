"""The graph of what one handler needs, or of what all handlers share: sources and steps."""

from collections.abc import Callable, Collection, Sequence
from inspect import Parameter
from operator import attrgetter
from typing import Any, Final, get_args, get_origin

from dispytch.dependencies.callables import full_name_of, function_of, identity_of
from dispytch.dependencies.dependency import Marker, Provider
from dispytch.dependencies.given import GivenReader
from dispytch.dependencies.header import HeaderMarker, HeaderReader
from dispytch.dependencies.kind import Kind, kind_of
from dispytch.dependencies.overrides import Replacing
from dispytch.dependencies.parameters import (
    annotation,
    body_of,
    check_alone,
    check_markers,
    check_note,
    concrete,
    notes,
    nothing_provides,
    parameters,
)
from dispytch.dependencies.path import Path
from dispytch.dependencies.plan import (
    Argument,
    Call,
    Constant,
    FromEvent,
    OfApp,
    Provided,
    Result,
    Source,
    Step,
    TheEvent,
)
from dispytch.dependencies.segment import SegmentMarker, segment_reader
from dispytch.dependencies.signature import layers
from dispytch.dependencies.yields import second_yield
from dispytch.events import Event
from dispytch.exceptions import DependencyError, InvalidHandler
from dispytch.messages import Delivery, Message
from dispytch.serialization.adapters import Unvalidatable
from dispytch.topics import TopicPattern

_THE_DELIVERY: Final = FromEvent(attrgetter("delivery"))


class Graph:
    """What has been found so far; a step stands after those that it needs.

    provided: the types that the framework provides.
    given: the types that the middlewares around the handler provide.
    app: the graph of what is app-scoped; None if this is the one.
    topic, pattern: what the handler takes, and its pattern if that is one.
    batch: the handler takes a list of events; what it needs is made once for all of them.
    """

    def __init__(
        self,
        provided: Collection[type],
        replacing: Replacing,
        given: Collection[type] = (),
        app: "Graph | None" = None,
        topic: str = "",
        pattern: TopicPattern | None = None,
        *,
        batch: bool = False,
    ) -> None:
        self._provided = provided
        self._replacing = replacing
        self._given = given
        self._app = app
        self._topic = topic
        self._pattern = pattern
        self._batch = batch
        self._shared: dict[object, int] = {}
        self.steps: list[Step] = []
        self.asked: set[type] = set()
        self.takes_event: bool = False
        self.bodies: list[tuple[Path, Any]] = []

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

    def need(self, marker: Marker, path: Path) -> None:
        """Have a dependency made whose value nobody takes."""
        self._result(marker, path)

    def _arguments(self, func: Callable[..., Any], path: Path) -> tuple[Argument, ...]:
        arguments: list[Argument] = []
        by_position = True
        for parameter in parameters(func, path):
            source = self._source(func, parameter, path.parameter(parameter.name))
            by_position &= source is not None and parameter.kind is not Parameter.KEYWORD_ONLY
            if source is not None:
                arguments.append(Argument(source, None if by_position else parameter.name))
        return tuple(arguments)

    def _source(self, func: Callable[..., Any], parameter: Parameter, path: Path) -> Source | None:
        """What provides a parameter; None where it keeps its default."""
        check_note(parameter.default, path)
        if isinstance(parameter.default, Marker):
            check_alone(func, parameter, path)
            return self._result(parameter.default, path)
        asked = annotation(func, parameter, path)
        check_markers(asked, parameter, path)
        if isinstance(parameter.default, HeaderMarker):
            return self._header(parameter.default, asked, parameter, path)
        if isinstance(parameter.default, SegmentMarker):
            return self._segment(parameter.default, asked, parameter, path)
        for layer in layers(asked):
            source = self._source_by(layer, parameter, path)
            if source is not None:
                return source
        if parameter.default is Parameter.empty:
            known = (*self._provided, *self._given)
            raise nothing_provides(
                parameter, path, known, to_app=self._app is None, batch=self._batch
            )
        # A parameter without keyword cannot be left out when another one follows.
        only_by_position = parameter.kind is Parameter.POSITIONAL_ONLY
        return Constant(parameter.default) if only_by_position else None

    def _source_by(self, asked: Any, parameter: Parameter, path: Path) -> Source | None:
        for note in reversed(notes(asked)):
            check_note(note, path)
            if isinstance(note, Marker):
                return self._result(note, path)
            if isinstance(note, HeaderMarker):
                return self._header(note, asked, parameter, path)
            if isinstance(note, SegmentMarker):
                return self._segment(note, asked, parameter, path)
        if _is_event(asked):
            self._check_is_of_one_event(path)
            return self._event(asked, path)
        if get_origin(asked) in (list, Sequence):
            each = next((one for one in layers(get_args(asked)[0]) if _is_event(one)), None)
            if each is not None:
                self._check_takes_batches(path)
                return self._event(each, path)
        if asked is Message or asked is Delivery:
            self._check_is_of_one_event(path)
            return _THE_DELIVERY
        return self._by_type(asked, parameter, path) if isinstance(asked, type) else None

    def _event(self, asked: Any, path: Path) -> TheEvent:
        """The event, or the list of them, whose bodies are as ``asked`` says."""
        self._check_lives_with_an_event(path)
        self.takes_event = True
        body = body_of(asked, path)
        if body is not Any or path.is_of_handler:
            self.bodies.append((path, body))
            first_path, first = self.bodies[0]
            if body != first:
                raise InvalidHandler(
                    f"{path} asks for {_event_of(body)}, but {first_path} for {_event_of(first)}: "
                    "an event has one body; let both ask for the same type"
                )
        return TheEvent()

    def _header(
        self, marker: HeaderMarker, asked: Any, parameter: Parameter, path: Path
    ) -> FromEvent:
        self._check_is_of_one_event(path)
        asked = concrete(asked, path)
        try:
            return FromEvent(HeaderReader(marker, asked, parameter))
        except Unvalidatable as error:
            raise DependencyError(
                f"{path}: a header cannot be had as {asked!r}, which pydantic cannot validate: "
                f"{error}"
            ) from error

    def _segment(
        self, marker: SegmentMarker, asked: Any, parameter: Parameter, path: Path
    ) -> FromEvent:
        self._check_is_of_one_event(path)
        asked = concrete(asked, path)
        return FromEvent(segment_reader(marker, asked, parameter, path, self._topic, self._pattern))

    def _by_type(self, kind: type, parameter: Parameter, path: Path) -> Source | None:
        """What stands in for a type, or is provided by a middleware, or by the framework."""
        fake = self._replacing.of(kind, path)
        if fake is not None:
            marker = Marker(fake, scope="event" if self._app is not None else "app")
            return self._step(marker, fake, path.dependency(fake, kind))
        if kind in self._given:
            self._check_is_of_one_event(path)
            return FromEvent(GivenReader(kind, parameter.default, str(path)))
        if kind in self._provided:
            self.asked.add(kind)
            return Provided(kind)
        return None

    def _result(self, marker: Marker, path: Path) -> OfApp | Result:
        """Where what a dependency makes is found."""
        if marker.scope == "app" and self._app is not None:
            return OfApp(self._app._result(marker, path).step)
        if marker.scope == "event":
            self._check_lives_with_an_event(path, path.dependency(marker.func))
        fake = self._replacing.of(marker.func, path)
        if fake is None:
            func, path = marker.func, path.dependency(marker.func)
        else:
            func, path = fake, path.dependency(fake, marker.func)
        return self._step(marker, func, path)

    def _step(self, marker: Marker, func: Provider, path: Path) -> Result:
        """The step that makes a dependency: the one there is, or a new one."""
        if (cycle := path.cycle()) is not None:
            raise DependencyError(f"{path}: a cycle, {cycle}; one of them must do without the next")
        kind = kind_of(func)
        _check_kind(kind, marker, func, path)
        # What stands in for a function that blocks may be async.
        thread = marker.thread and not kind.waits
        key = (identity_of(func), thread)
        if marker.use_cache and key in self._shared:
            return Result(self._shared[key])
        self.steps.append(Step(self.call(kind, func, path, thread=thread), str(path)))
        step = len(self.steps) - 1
        self._shared.setdefault(key, step)
        return Result(step)

    def _check_is_of_one_event(self, path: Path) -> None:
        self._check_lives_with_an_event(path)
        if self._batch:
            raise InvalidHandler(
                f"{path} belongs to one event, and the handler takes batches; ask for "
                "list[Event[...]], and find it at each event there"
            )

    def _check_takes_batches(self, path: Path) -> None:
        self._check_lives_with_an_event(path)
        if not self._batch:
            raise InvalidHandler(
                f"{path} asks for a list of events, and the handler takes one at a time; register "
                "it with batch=Batch(size), or let it ask for Event[...]"
            )

    def _check_lives_with_an_event(self, path: Path, asked: Path | None = None) -> None:
        if self._app is None:
            raise DependencyError(
                f"{asked or path} belongs to one event, and `{path.asking}` is app-scoped: made "
                "before there is an event, and shared by all; let both have the same scope"
            )


def _check_kind(kind: Kind, marker: Marker, func: Provider, path: Path) -> None:
    if marker.thread and kind.waits and func is marker.func:
        raise DependencyError(f"{path} is async; thread=True is for functions that block")
    function = function_of(func) if kind.is_generator else None
    line = second_yield(function) if function is not None else None
    if line is not None:
        raise DependencyError(
            f"{path} yields a second time, in line {line}; it must yield exactly once: "
            "what follows the yield is the teardown"
        )


def _is_event(asked: Any) -> bool:
    return asked is Event or get_origin(asked) is Event


def _event_of(body: Any) -> str:
    return "plain Event" if body is Any else f"Event[{getattr(body, '__qualname__', body)}]"
