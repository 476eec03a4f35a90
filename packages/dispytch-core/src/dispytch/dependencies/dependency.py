"""How a parameter asks for what a function makes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from dispytch.exceptions import DependencyError

Provider = Callable[..., Any]
"""What makes a dependency: any callable whose own parameters can be provided."""

Scope = Literal["event", "app"]
"""How long a dependency lives: for one run of a handler, or as long as the listener."""


@dataclass(frozen=True, slots=True, eq=False)
class Marker:
    """What `Dependency` leaves in a signature."""

    func: Provider
    use_cache: bool = True
    thread: bool = False
    scope: Scope = "event"


def Dependency(  # noqa: N802
    func: Provider, *, use_cache: bool = True, thread: bool = False, scope: Scope = "event"
) -> Any:
    """Ask for what ``func`` makes: ``Annotated[T, Dependency(f)]``, or ``= Dependency(f)``.

    It returns Any, so that it stands as the default value of a parameter of any type.

    func: a function, async or not; a generator function, async or not, that yields once: what
        follows the yield is the teardown; a function made by ``contextlib.contextmanager`` or
        ``asynccontextmanager``; a class; a ``functools.partial``; an object with ``__call__``.
        Its parameters are provided like a handler's. What it gives is awaited if it is awaitable;
        else it is injected as it is: a context manager too is not entered.
    use_cache: made once for each run of the handler, however many ask for it; if False, made anew
        for this parameter.
    thread: run in a worker thread, for functions that block. Context variables that it sets stay
        there.
    scope: ``"event"`` makes it for each run of a handler. ``"app"`` makes it once, when the
        listener starts and before it joins its group, for all handlers that ask for it; it is torn
        down when the listener stops, after the last handler. It cannot depend on anything that
        belongs to an event.

    A generator is torn down before the run of the handler ends, in reverse order. It sees the
    handler's exception at its yield, and may replace it by another, but cannot make the run
    succeed: an exception that it swallows is raised all the same. An app-scoped one sees none.

    Raises:
        DependencyError: ``func`` is not callable, or the options contradict each other. Whether
            all its parameters can be provided is checked when the listener starts.
    """
    if not callable(func):
        raise DependencyError(
            f"Dependency takes what makes the value, a function or a class, not {func!r}; "
            "leave away the parentheses of a call"
        )
    if scope not in get_args(Scope):
        raise DependencyError(f"Dependency: scope is 'event' or 'app', not {scope!r}")
    if scope == "app" and not use_cache:
        raise DependencyError(
            "Dependency: what is app-scoped is made once; use_cache=False contradicts scope='app'"
        )
    return Marker(func, use_cache, thread, scope)


def checked(dependencies: object) -> tuple[Marker, ...]:
    """What ``dependencies=[...]`` holds: dependencies that run before a handler.

    Raises:
        DependencyError: something else than what `Dependency` returns.
    """
    if not isinstance(dependencies, Sequence) or isinstance(dependencies, str):
        raise DependencyError(
            f"dependencies takes a list, as in [Dependency(f)], not {dependencies!r}"
        )
    markers = tuple(cast("Sequence[object]", dependencies))
    for one in markers:
        if not isinstance(one, Marker):
            raise DependencyError(f"dependencies takes Dependency(...), not {one!r}")
    return cast("tuple[Marker, ...]", markers)
