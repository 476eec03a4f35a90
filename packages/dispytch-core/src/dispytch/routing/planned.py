"""Registrations, checked at start and then bound to what a running listener provides."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ConfigDict, TypeAdapter

from dispytch.batch import NextBatch, alone, wrap_batch
from dispytch.dead_letters import FailurePolicy
from dispytch.dependencies import Plan, Wiring, bind
from dispytch.dependencies.callables import identity_of
from dispytch.dependencies.dependency import Marker
from dispytch.exceptions import ConfigurationError, InvalidHandler
from dispytch.middleware import Middleware, provided_within, wrap
from dispytch.replies import ReplyWriter
from dispytch.retry import RetryPolicy
from dispytch.routing.answering import Answering, Result
from dispytch.routing.batches import check_answers_nothing, going_around_batches
from dispytch.routing.decoding import decoding, nothing, plan_upcasts
from dispytch.routing.registration import Registration
from dispytch.routing.route import Batching, Route
from dispytch.serialization import Bodies, Codecs
from dispytch.serialization.adapters import Unvalidatable, adapter_of
from dispytch.serialization.formats.protobuf import is_message_class
from dispytch.topics import TopicPattern
from dispytch.upcasts import Upcasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a listener says for handlers that say nothing themselves."""

    codecs: Codecs
    retry: RetryPolicy
    dead_letter: FailurePolicy
    replies: ReplyWriter
    middlewares: tuple[Middleware, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """A registration whose signature and dependencies are known to work."""

    name: str
    registration: Registration
    topic: str
    pattern: TopicPattern | None
    plan: Plan
    adapter: TypeAdapter[Any]
    upcasts: Mapping[str, Upcasts]
    result: Result | None

    def bind(
        self,
        defaults: Defaults,
        values: Mapping[type, object],
        threads: Executor | None = None,
        of_app: Sequence[object] = (),
    ) -> Route:
        """The route, with its threads and what its dependencies ask for: by type, of the app.

        Raises:
            InvalidHandler: one of the codecs cannot hold such a body.
        """
        given = self.registration
        bodies = _bodies(self.name, defaults.codecs, self.plan.body, self.adapter)
        run = bind(self.plan, values, threads, of_app)
        middlewares = defaults.middlewares + given.middlewares
        batching: Batching | None = None
        if given.batch is None:
            run = wrap(run, middlewares)
        else:
            # A plan hands on what it is called with: here, the list that the handler asks for.
            whole = wrap_batch(cast("NextBatch", run), going_around_batches(self.name, middlewares))
            batching, run = Batching(given.batch, whole), alone(whole)
        return Route(
            name=self.name,
            identity=identity_of(given.handler),
            topic=self.topic,
            event=given.event,
            decode=decoding(bodies, self.upcasts) if self.plan.takes_event else nothing,
            reads_body=self.plan.takes_event,
            run=run,
            retry=given.retry or defaults.retry,
            dead_letter=given.dead_letter or defaults.dead_letter,
            timeout=given.timeout,
            answering=(
                None if self.result is None else Answering(self.name, self.result, defaults.replies)
            ),
            batching=batching,
        )


def plan_routes(
    registrations: Iterable[Registration],
    wiring: Wiring,
    middlewares: Sequence[Middleware] = (),
    dependencies: Sequence[Marker] = (),
) -> Sequence[PlannedRoute]:
    """Compile and check every handler.

    Handlers of one name, as a factory makes them, are told apart by a number: the name is how a
    dead letter finds its handler again.

    ``middlewares`` are around all of them, beside their own; ``dependencies`` run before those of
    each.

    Raises:
        InvalidHandler: a handler without topic, with a pattern that cannot be read, or with a
            signature or body that cannot work, or one that is registered twice for the same events.
        DependencyError: a dependency that cannot be provided.
    """
    planned: list[PlannedRoute] = []
    known: set[object] = set()
    names: Counter[str] = Counter()
    for registration in registrations:
        _check_first(registration, known)
        names[registration.name] += 1
        number = names[registration.name]
        name = registration.name if number == 1 else f"{registration.name}#{number}"
        around = (*middlewares, *registration.middlewares)
        if registration.batch is not None:
            going_around_batches(name, around)
        given = provided_within(around)
        before = (*dependencies, *registration.dependencies)
        planned.append(_planned(name, registration, wiring, given, before))
    return planned


def _check_first(registration: Registration, known: set[object]) -> None:
    same = (identity_of(registration.handler), registration.topic, registration.event)
    if same in known:
        raise InvalidHandler(
            f"handler {registration.name} is registered twice for type {registration.event!r} of "
            f"topic {registration.topic!r}: it would run twice for every event"
        )
    known.add(same)


def _planned(
    name: str,
    registration: Registration,
    wiring: Wiring,
    given: Collection[type],
    before: Sequence[Marker],
) -> PlannedRoute:
    if not registration.topic:
        raise InvalidHandler(
            f"handler {registration.name} has no topic; give it one, as in "
            "handler(topic='user_events'), or give its group a default_topic"
        )
    pattern = _pattern(registration, registration.topic)
    batch = registration.batch is not None
    topic = registration.topic
    plan = wiring.plan(registration.handler, given, topic, pattern, batch=batch, before=before)
    adapter = _adapter(registration, plan.body)
    upcasts = plan_upcasts(registration, plan.body)
    result = Result.of(registration.handler, registration.answers, registration.name)
    if batch and result is not None:
        check_answers_nothing(registration)
        result = None
    return PlannedRoute(name, registration, topic, pattern, plan, adapter, upcasts, result)


def _pattern(registration: Registration, topic: str) -> TopicPattern | None:
    try:
        return TopicPattern.of(topic)
    except ConfigurationError as error:
        raise InvalidHandler(f"handler {registration.name}: {error}") from error


def _bodies(name: str, codecs: Codecs, body: Any, adapter: TypeAdapter[Any]) -> Bodies:
    try:
        return Bodies(codecs, body, adapter)
    except ConfigurationError as error:
        raise InvalidHandler(f"handler {name}: {error}") from error


def _adapter(registration: Registration, body: Any) -> TypeAdapter[Any]:
    if is_message_class(body):
        # It is no type of pydantic's; the codec has made the message, and there it ends.
        return TypeAdapter(body, config=ConfigDict(arbitrary_types_allowed=True))
    try:
        return adapter_of(body)
    except Unvalidatable as error:
        raise InvalidHandler(
            f"handler {registration.name} takes Event[{body!r}], "
            f"which pydantic cannot validate: {error}"
        ) from error
