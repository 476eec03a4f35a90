"""Compiling handlers: everything that their runs need is found, or refused, once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dispytch.dependencies.callables import full_name_of
from dispytch.dependencies.dependency import Marker, Provider
from dispytch.dependencies.graph import Graph
from dispytch.dependencies.kind import kind_of
from dispytch.dependencies.overrides import Replacing
from dispytch.dependencies.path import Path
from dispytch.dependencies.plan import Plan, Step
from dispytch.exceptions import DependencyError, InvalidHandler
from dispytch.topics import TopicPattern


class Wiring:
    """Compiles the handlers of one listener, which share what is app-scoped.

    provided: the types that a parameter may ask for by its annotation alone.
    overrides: what is called in the place of a dependency, see `Overrides`; as they are now.
    """

    def __init__(
        self,
        provided: Collection[type] = (),
        overrides: Mapping[Callable[..., Any], Provider] | None = None,
    ) -> None:
        self._provided = tuple(provided)
        self._replacing = Replacing(overrides or {})
        self._app = Graph(self._provided, self._replacing)

    def plan(
        self,
        handler: Callable[..., Any],
        given: Collection[type] = (),
        topic: str = "",
        pattern: TopicPattern | None = None,
        *,
        batch: bool = False,
        before: Sequence[Marker] = (),
    ) -> Plan:
        """Find out how to provide every parameter of a handler and of its dependencies.

        ``given`` are the types that the middlewares around the handler provide; where the framework
        provides one of them too, the middlewares' counts. A parameter that nothing provides keeps
        its default; ``*args`` and ``**kwargs`` stay empty. ``topic`` is what the handler takes; if
        it is a ``pattern``, parameters may ask for its fields.

        ``batch``: the handler takes ``list[Event[Body]]``, or a ``Sequence``, and nothing that
        belongs to one event alone.

        ``before``: dependencies that run first, in their order, and whose values nobody takes.

        A bare ``Event`` asks for plain data in the handler; in a dependency it takes the body as
        the others ask for it.

        Raises:
            InvalidHandler: the handler is nothing that can be called with an event, or different
                body types are asked for.
            DependencyError: a parameter that nothing provides, a cycle, a bad generator, an
                app-scoped dependency on something of an event; the text gives the path from the
                handler to it.
        """
        path = Path.to_handler(handler)
        if isinstance(handler, type):
            raise InvalidHandler(f"{path} is a class; register a function or a bound method")
        kind = kind_of(handler)
        if kind.is_generator:
            raise InvalidHandler(f"{path} is a generator; a handler must not yield")
        graph = Graph(
            self._provided, self._replacing, given, self._app, topic, pattern, batch=batch
        )
        for place, marker in enumerate(before):
            graph.need(marker, path.listed(place))
        call = graph.call(kind, handler, path, thread=not kind.waits)
        if batch and not graph.takes_event:
            raise InvalidHandler(
                f"{path} takes batches, and neither it nor a dependency asks for the events; give "
                "it a parameter events: list[Event[...]]"
            )
        return Plan(
            steps=tuple(step.call for step in graph.steps),
            handler=call,
            body=graph.bodies[0][1] if graph.bodies else Any,
            takes_event=graph.takes_event,
            provided=frozenset(graph.asked),
        )

    @property
    def app_steps(self) -> tuple[Step, ...]:
        """The app-scoped dependencies of the handlers so far, in the order of their making."""
        return tuple(self._app.steps)

    @property
    def unused(self) -> Sequence[Callable[..., Any]]:
        """What is overridden, and no handler so far has asked for."""
        return self._replacing.unused()

    def check_unused(self, plain: "Wiring") -> None:
        """Refuse overrides that are of no use even in the same wiring without any.

        A fake that nobody asks for is a test that runs against the real thing.

        Raises:
            DependencyError: there are some; the text names them.
        """
        names = [f"`{full_name_of(one)}`" for one in self.unused if not plain.asks_for(one)]
        if names:
            raise DependencyError(
                f"overrides: no handler depends on {', '.join(names)}; the key is the callable in "
                "Dependency(...) itself, or a type that a parameter asks for by name"
            )

    def asks_for(self, func: Callable[..., Any]) -> bool:
        """Whether a handler so far depends on it."""
        return self._replacing.asked(func)


def compile_handler(handler: Callable[..., Any], *, provided: Collection[type] = ()) -> Plan:
    """Compile one handler alone; see `Wiring.plan`."""
    return Wiring(provided).plan(handler)
