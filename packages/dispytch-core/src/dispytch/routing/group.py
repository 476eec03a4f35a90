"""Handlers, collected where they are written."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final, TypeVar
from weakref import WeakSet

from dispytch.batch import Batch
from dispytch.dead_letters import FailurePolicy, checked
from dispytch.dependencies.callables import full_name_of
from dispytch.dependencies.dependency import checked as checked_dependencies
from dispytch.exceptions import ConfigurationError, InvalidHandler
from dispytch.middleware import Middleware
from dispytch.middleware import checked as checked_middlewares
from dispytch.retry import ErrorTypes, RetryPolicy
from dispytch.routing.registration import Handler, Registration
from dispytch.upcasts import Upcast

F = TypeVar("F", bound=Handler)

_INTERVAL: Final = 1.25


class HandlerGroup:
    """A collection of handlers that a listener takes as one.

    default_topic, default_event: for handlers, and groups within, that name none.
    prefix: set before the topic of every handler within, as it stands: ``"billing."``. Both may
        hold wildcards and fields.
    dead_letter: for handlers within that say nothing of it, see `FailurePolicy`.
    middlewares: around every handler within, the first one outermost.
    dependencies: run before every handler within, see `handler`.
    upcasts: for events of older versions, see `upcast`; for every handler within.
    """

    def __init__(
        self,
        default_topic: str | None = None,
        default_event: str | None = None,
        *,
        prefix: str = "",
        dead_letter: FailurePolicy | None = None,
        middlewares: Sequence[Middleware] = (),
        dependencies: Sequence[Any] = (),
        upcasts: Sequence[Upcast] = (),
    ) -> None:
        for option, value in (
            ("default_topic", default_topic),
            ("default_event", default_event),
            ("prefix", prefix),
        ):
            _check_text(option, value)
        self._default_topic = default_topic
        self._default_event = default_event
        self._prefix = prefix
        self._dead_letter = None if dead_letter is None else checked(dead_letter)
        self._middlewares = checked_middlewares(middlewares)
        self._dependencies = checked_dependencies(dependencies)
        self._upcasts = _checked_upcasts(upcasts)
        self._members: list[Registration | HandlerGroup] = []
        self._users: WeakSet[Hashable] = WeakSet()

    def handler(
        self,
        *misplaced: object,
        topic: str | None = None,
        event: str | None = None,
        retries: int = 0,
        retry_on: ErrorTypes | Sequence[type[Exception]] | None = None,
        retry_interval: float = _INTERVAL,
        retry: RetryPolicy | None = None,
        dead_letter: FailurePolicy | None = None,
        timeout: float | None = None,
        answers: bool | None = None,
        batch: Batch | None = None,
        middlewares: Sequence[Middleware] = (),
        dependencies: Sequence[Any] = (),
    ) -> Callable[[F], F]:
        """Register the decorated function, async or not; it stays callable as it is.

        topic: the name of one, or a pattern: ``user.*``, ``logs.#``, ``order:{id}:events``; the
            group's default when not given.
        event: the event type; the group's default when not given; None in both takes every type.
        retries, retry_on, retry_interval: so many further attempts, for these errors, so many
            seconds apart. ``retry`` takes a full `RetryPolicy` in their place.
        dead_letter: what becomes of an event that cannot be handled, see `FailurePolicy`.
        timeout: seconds after which a run is cancelled and counts as a failed attempt.
        answers: whether it answers requests, with what it returns or with its failure. When not
            given it does, unless its return annotation is None.
        batch: have it take ``list[Event[Body]]``, see `Batch`; it answers no requests then.
        middlewares: around this handler, within those of its groups, the first one outermost.
        dependencies: `Dependency(...)` whose values nobody takes, as for a check. They run in
            their order, after those of the groups and before what the handler asks for.

        Raises:
            InvalidHandler: options that contradict each other or make no sense; a listener of this
                group runs already.
        """

        if misplaced:
            raise InvalidHandler(
                "handler takes keywords only, and needs its parentheses: "
                "@group.handler(topic='user_events', event='user_registered')"
            )

        def register(function: F) -> F:
            self._check_unused(f"handler {full_name_of(function)}")
            try:
                _check_text("topic", topic)
                _check_text("event", event)
                registration = Registration(
                    handler=function,
                    topic=topic,
                    event=event,
                    retry=_policy(retries, retry_on, retry_interval, retry),
                    dead_letter=None if dead_letter is None else checked(dead_letter),
                    timeout=_timeout(timeout),
                    answers=_answers(answers),
                    batch=_batch(batch),
                    middlewares=checked_middlewares(middlewares),
                    dependencies=checked_dependencies(dependencies),
                )
            except ConfigurationError as error:
                raise InvalidHandler(f"handler {full_name_of(function)}: {error}") from error
            self._members.append(registration)
            return function

        return register

    def add_handler_group(self, group: "HandlerGroup") -> None:
        """Take another group within this one: this one's prefix and defaults reach it too.

        Raises:
            InvalidHandler: the group would hold itself; a listener of this one runs already.
        """
        if not isinstance(group, HandlerGroup):
            raise InvalidHandler(f"a handler group is taken here, not {group!r}")
        if group is self or self in group.groups():
            raise InvalidHandler("a handler group cannot hold itself")
        self._check_unused("a handler group")
        self._members.append(group)

    def begin_use(self, user: Hashable) -> None:
        """Take no more handlers, here and within, while somebody handles events with them."""
        for group in (self, *self.groups()):
            group._users.add(user)

    def end_use(self, user: Hashable) -> None:
        """Take handlers again."""
        for group in (self, *self.groups()):
            group._users.discard(user)

    def _check_unused(self, what: str) -> None:
        if self._users:
            raise InvalidHandler(
                f"{what} is added after the listener of its group has started, so it would never "
                "get an event; add it before the start: import the module that it is in first"
            )

    def groups(self) -> Iterator["HandlerGroup"]:
        """Every group within, at any depth."""
        for member in self._members:
            if isinstance(member, HandlerGroup):
                yield member
                yield from member.groups()

    def registrations(
        self, default_topic: str | None = None, default_event: str | None = None
    ) -> Iterator[Registration]:
        """Every handler within, at any depth, in the order of registration.

        The defaults are those of the groups around this one.
        """
        topic = _first(self._default_topic, default_topic)
        event = _first(self._default_event, default_event)
        for member in self._members:
            if isinstance(member, HandlerGroup):
                yield from map(self._wrapped, member.registrations(topic, event))
            else:
                named = replace(
                    member, topic=_first(member.topic, topic), event=_first(member.event, event)
                )
                yield self._wrapped(named)

    def _wrapped(self, inner: Registration) -> Registration:
        return replace(
            inner,
            topic=None if inner.topic is None else self._prefix + inner.topic,
            dead_letter=self._dead_letter if inner.dead_letter is None else inner.dead_letter,
            middlewares=self._middlewares + inner.middlewares,
            dependencies=self._dependencies + inner.dependencies,
            upcasts=self._upcasts + inner.upcasts,
        )


def _first(own: str | None, default: str | None) -> str | None:
    return default if own is None else own


def _checked_upcasts(upcasts: Sequence[Upcast]) -> tuple[Upcast, ...]:
    for one in upcasts:
        if not isinstance(one, Upcast):
            raise ConfigurationError(
                f"upcasts takes what @upcast(event=..., from_version=...) makes, not {one!r}"
            )
    return tuple(upcasts)


def _check_text(option: str, value: object) -> None:
    if not isinstance(value, str | None):
        remedy = f"; write {value.value!r}" if isinstance(value, Enum) else ""
        raise ConfigurationError(f"{option} must be a text, not {value!r}{remedy}")


def _policy(
    retries: int,
    retry_on: ErrorTypes | Sequence[type[Exception]] | None,
    retry_interval: float,
    retry: RetryPolicy | None,
) -> RetryPolicy | None:
    if not isinstance(retries, int) or isinstance(retries, bool):
        raise ConfigurationError(f"retries must be a whole number, not {retries!r}")
    if retry is None and retries == 0 and retry_on is None:
        if retry_interval != _INTERVAL:
            raise ConfigurationError("retry_interval is of no use without retries=")
        return None
    if retry is not None:
        if retries or retry_on is not None or retry_interval != _INTERVAL:
            raise ConfigurationError(
                "give either retry=, or retries=, retry_on= and retry_interval="
            )
        if not isinstance(retry, RetryPolicy):
            raise ConfigurationError(f"retry takes a RetryPolicy, not {retry!r}; or use retries=")
        return retry
    if retries <= 0:
        raise ConfigurationError(f"retries must be positive, not {retries!r}")
    errors = Exception if retry_on is None else retry_on
    if not isinstance(errors, type) and not tuple(errors):
        raise ConfigurationError("retry_on names no error, so that nothing would be retried")
    return RetryPolicy(
        attempts=retries + 1,
        delay=retry_interval,
        factor=1.0,
        max_delay=retry_interval,
        jitter=False,
        retry_on=errors if isinstance(errors, type) else tuple(errors),
    )


def _answers(answers: bool | None) -> bool | None:
    if not isinstance(answers, bool | None):
        raise ConfigurationError(f"answers must be True or False, not {answers!r}")
    return answers


def _timeout(timeout: float | None) -> float | None:
    if timeout is not None and (not isinstance(timeout, int | float) or not timeout > 0):
        raise ConfigurationError(f"timeout must be positive seconds, not {timeout!r}")
    return timeout


def _batch(batch: object) -> Batch | None:
    if not isinstance(batch, Batch | None):
        raise ConfigurationError(f"batch takes a Batch, as in batch=Batch(100), not {batch!r}")
    return batch
