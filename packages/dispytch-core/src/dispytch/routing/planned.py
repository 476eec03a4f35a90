"""Registrations, checked at start and then bound to what a running listener provides."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from pydantic import PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError

from dispytch.dead_letters import FailurePolicy
from dispytch.dependencies import Plan, bind, compile_handler
from dispytch.exceptions import InvalidHandler
from dispytch.middleware import Middleware, wrap
from dispytch.retry import RetryPolicy
from dispytch.routing.registration import Registration
from dispytch.routing.route import Route
from dispytch.serialization import Codecs


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a listener says for handlers that say nothing themselves."""

    codecs: Codecs
    retry: RetryPolicy
    dead_letter: FailurePolicy
    middlewares: tuple[Middleware, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """A registration whose signature and dependencies are known to work."""

    registration: Registration
    topic: str
    plan: Plan
    adapter: TypeAdapter[Any]

    def bind(
        self, defaults: Defaults, values: Mapping[type, object], threads: Executor | None = None
    ) -> Route:
        """The route, with the values that its dependencies ask for by type, and its threads."""
        given = self.registration
        return Route(
            name=given.name,
            topic=self.topic,
            event=given.event,
            adapter=self.adapter,
            codecs=defaults.codecs,
            run=wrap(bind(self.plan, values, threads), defaults.middlewares + given.middlewares),
            retry=given.retry or defaults.retry,
            dead_letter=given.dead_letter or defaults.dead_letter,
            timeout=given.timeout,
        )


def plan_routes(
    registrations: Iterable[Registration], provided: Collection[type]
) -> Sequence[PlannedRoute]:
    """Compile and check every handler.

    ``provided`` are the types that a parameter may simply ask for.

    Raises:
        InvalidHandler: a handler without topic, or with a signature or body that cannot work.
        DependencyError: a dependency that cannot be provided.
    """
    return [_planned(one, provided) for one in registrations]


def _planned(registration: Registration, provided: Collection[type]) -> PlannedRoute:
    if not registration.topic:
        raise InvalidHandler(
            f"handler {registration.name} has no topic; give it one, as in "
            "handler(topic='user_events'), or give its group a default_topic"
        )
    plan = compile_handler(registration.handler, provided=provided)
    return PlannedRoute(registration, registration.topic, plan, _adapter(registration, plan.body))


def _adapter(registration: Registration, body: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(body)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise InvalidHandler(
            f"handler {registration.name} takes Event[{body!r}], "
            f"which pydantic cannot validate: {error}"
        ) from error
