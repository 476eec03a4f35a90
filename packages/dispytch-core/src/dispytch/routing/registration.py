"""A handler as its author registered it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dispytch.batch import Batch
from dispytch.dead_letters import FailurePolicy
from dispytch.dependencies.callables import full_name_of
from dispytch.dependencies.dependency import Marker
from dispytch.middleware import Middleware
from dispytch.retry import RetryPolicy
from dispytch.upcasts import Upcast

Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What `HandlerGroup.handler` was told, with what the groups around it add.

    None means: as the listener has it; of ``answers``, as the return annotation says.
    """

    handler: Handler
    topic: str | None
    event: str | None
    retry: RetryPolicy | None
    dead_letter: FailurePolicy | None
    timeout: float | None
    answers: bool | None = None
    middlewares: tuple[Middleware, ...] = ()
    upcasts: tuple[Upcast, ...] = ()
    batch: Batch | None = None
    dependencies: tuple[Marker, ...] = ()

    @property
    def name(self) -> str:
        """The handler's module and qualified name."""
        return full_name_of(self.handler)
