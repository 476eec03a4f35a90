"""One handler, ready to run."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from dispytch.dead_letters import FailurePolicy
from dispytch.envelope import Envelope
from dispytch.middleware import Next
from dispytch.retry import RetryPolicy
from dispytch.serialization import Codecs


@dataclass(eq=False, slots=True, kw_only=True)
class Route:
    """A handler with everything around it: body, dependencies, middlewares and policies.

    ``run`` takes an event whose body `decode` has made.
    """

    name: str
    topic: str
    event: str | None
    adapter: TypeAdapter[Any]
    codecs: Codecs
    run: Next
    retry: RetryPolicy
    dead_letter: FailurePolicy
    timeout: float | None

    def decode(self, envelope: Envelope) -> Any:
        """The body that this handler asks for.

        Raises:
            DecodeError, BodyInvalid: it cannot be had from these bytes.
        """
        return self.codecs.reading(envelope.content_type).decode(self.adapter, envelope.data)
