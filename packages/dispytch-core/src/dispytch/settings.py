"""What a listener was told, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from dispytch.circuit_breaker import CircuitBreaker
from dispytch.connecting import Connect, checked_connect
from dispytch.dead_letters import FailurePolicy, Unhandled, checked, checked_unhandled
from dispytch.delivery import Ordering
from dispytch.dependencies.dependency import Marker
from dispytch.exceptions import ConfigurationError
from dispytch.middleware import Middleware
from dispytch.middleware import checked as checked_middlewares
from dispytch.replies import ReplyTopics, ReplyWriter
from dispytch.retry import RetryPolicy
from dispytch.routing import Defaults
from dispytch.serialization import Codec, Codecs, WireFormat
from dispytch.serialization.limits import is_size
from dispytch.signing import Signer
from dispytch.transport import Backend, StartAt


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a listener was told; `EventListener` says what each of them means.

    Raises:
        ConfigurationError: a value that makes no sense; the text names it.
    """

    backend: Backend
    group: str
    concurrency: int
    ordering: Ordering
    max_in_flight: int | None
    retry: RetryPolicy | None
    dead_letter: FailurePolicy
    unhandled: Unhandled
    middlewares: Sequence[Middleware]
    dependencies: tuple[Marker, ...]
    drain_timeout: float
    start_at: StartAt
    stuck_after: float
    connect: Connect
    max_body_bytes: int | None
    circuit_breaker: CircuitBreaker | None
    wire: WireFormat
    codecs: Sequence[Codec]
    reply_topics: Sequence[str] = ()
    signer: Signer | None = None

    def __post_init__(self) -> None:
        self._check_flow()
        self._check_parts()
        checked(self.dead_letter)
        checked_middlewares(self.middlewares)
        checked_unhandled(self.unhandled)
        checked_connect("EventListener", self.connect)

    @property
    def window(self) -> int:
        """How many events may be received and unsettled."""
        return self.max_in_flight or 16 * self.concurrency

    @property
    def defaults(self) -> Defaults:
        """What counts for handlers that say nothing themselves."""
        codecs = Codecs(self.codecs)
        return Defaults(
            codecs=codecs,
            retry=self.retry or RetryPolicy(),
            dead_letter=self.dead_letter,
            replies=ReplyWriter(
                source=self.group,
                prefixes=self.backend.features.attribute_prefixes,
                topics=ReplyTopics(self.reply_topics),
            ),
            middlewares=tuple(self.middlewares),
        )

    def _check_flow(self) -> None:
        limit = self.max_in_flight
        require(
            isinstance(self.group, str) and self.group != "", "group must be a name", self.group
        )
        require(_whole(self.concurrency), "concurrency must be at least 1", self.concurrency)
        require(self.ordering in ("key", "partition", "none"), "unknown ordering", self.ordering)
        require(limit is None or _whole(limit), "max_in_flight must be at least 1", limit)
        require(
            _seconds(self.drain_timeout), "drain_timeout must not be negative", self.drain_timeout
        )
        require(self.start_at in ("earliest", "latest"), "unknown start_at", self.start_at)
        require(_seconds(self.stuck_after), "stuck_after must be seconds", self.stuck_after)
        size = self.max_body_bytes
        require(is_size(size), "max_body_bytes must be at least 1, or None", size)

    def _check_parts(self) -> None:
        breaker = self.circuit_breaker
        require(isinstance(self.retry, RetryPolicy | None), "retry: no RetryPolicy", self.retry)
        require(
            isinstance(breaker, CircuitBreaker | None),
            "circuit_breaker: no CircuitBreaker",
            breaker,
        )
        require(_texts(self.reply_topics), "reply_topics must be names", self.reply_topics)
        ReplyTopics(self.reply_topics)
        require(isinstance(self.wire, WireFormat), "wire: no WireFormat", self.wire)
        require(_codecs(self.codecs), "codecs must name at least one Codec", self.codecs)


def require(met: bool, text: str, value: object) -> None:
    """Refuse what a listener was told unless a condition is met.

    Raises:
        ConfigurationError: it is not.
    """
    if not met:
        raise ConfigurationError(f"EventListener: {text} (given: {value!r})")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0


def _texts(values: object) -> bool:
    if isinstance(values, str) or not isinstance(values, Sequence):
        return False
    return all(isinstance(one, str) and one for one in cast("Sequence[object]", values))


def _codecs(values: object) -> bool:
    if not isinstance(values, Sequence):
        return False
    found = cast("Sequence[object]", values)
    return len(found) > 0 and all(isinstance(one, Codec) for one in found)
