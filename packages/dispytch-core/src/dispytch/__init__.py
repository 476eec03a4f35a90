"""dispytch: event-driven services in async Python, with the broker as a plug-in.

Its names are imported when they are first asked for: a program that only emits does not pay for
the listener, nor one that reads a backend's options for either.
"""

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dispytch.batch import Batch, BatchMiddleware
    from dispytch.circuit_breaker import CircuitBreaker
    from dispytch.dead_letters import DeadLetterTopic
    from dispytch.dependencies import Dependency, Header, TopicSegment
    from dispytch.emitter import EventEmitter
    from dispytch.events import Event, EventBase, Tombstone
    from dispytch.exceptions import BatchFailed, Postpone, Reject, RetryAfter, Skip
    from dispytch.health import Health
    from dispytch.listener import EventListener
    from dispytch.messages import Delivery, Message
    from dispytch.middleware import (
        IdempotencyStore,
        Idempotent,
        MemoryStore,
        Middleware,
        provides,
    )
    from dispytch.replay import DeadLetter, DeadLetters
    from dispytch.retry import RetryPolicy
    from dispytch.routing import HandlerGroup
    from dispytch.serialization import CloudEvents, Envelope0x
    from dispytch.upcasts import Upcast, upcast

__path__ = pkgutil.extend_path(__path__, __name__)

__all__ = [
    "Batch",
    "BatchFailed",
    "BatchMiddleware",
    "CircuitBreaker",
    "CloudEvents",
    "DeadLetter",
    "DeadLetterTopic",
    "DeadLetters",
    "Delivery",
    "Dependency",
    "Envelope0x",
    "Event",
    "EventBase",
    "EventEmitter",
    "EventListener",
    "HandlerGroup",
    "Header",
    "Health",
    "IdempotencyStore",
    "Idempotent",
    "MemoryStore",
    "Message",
    "Middleware",
    "Postpone",
    "Reject",
    "RetryAfter",
    "RetryPolicy",
    "Skip",
    "Tombstone",
    "TopicSegment",
    "Upcast",
    "__path__",
    "provides",
    "upcast",
]

_HOMES: Final = {
    "Batch": "batch",
    "BatchFailed": "exceptions",
    "BatchMiddleware": "batch",
    "CircuitBreaker": "circuit_breaker",
    "CloudEvents": "serialization",
    "DeadLetter": "replay",
    "DeadLetterTopic": "dead_letters",
    "DeadLetters": "replay",
    "Delivery": "messages",
    "Dependency": "dependencies",
    "Envelope0x": "serialization",
    "Event": "events",
    "EventBase": "events",
    "EventEmitter": "emitter",
    "EventListener": "listener",
    "HandlerGroup": "routing",
    "Header": "dependencies",
    "Health": "health",
    "IdempotencyStore": "middleware",
    "Idempotent": "middleware",
    "MemoryStore": "middleware",
    "Message": "messages",
    "Middleware": "middleware",
    "Postpone": "exceptions",
    "Reject": "exceptions",
    "RetryAfter": "exceptions",
    "RetryPolicy": "retry",
    "Skip": "exceptions",
    "Tombstone": "events",
    "TopicSegment": "dependencies",
    "Upcast": "upcasts",
    "provides": "middleware",
    "upcast": "upcasts",
}
"""The module of each name; the imports above tell the same to type checkers."""

if not TYPE_CHECKING:  # They would take it for a name of any kind.

    def __getattr__(name: str) -> object:
        """Import what is asked for; it is here from then on."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
