"""dispytch: event-driven services in async Python, with the broker as a plug-in."""

import pkgutil

from dispytch.circuit_breaker import CircuitBreaker
from dispytch.dead_letters import DeadLetterTopic
from dispytch.dependencies import Dependency, Header, TopicSegment
from dispytch.emitter import EventEmitter
from dispytch.events import Event, EventBase
from dispytch.exceptions import Reject, RetryAfter, Skip
from dispytch.health import Health
from dispytch.idempotency import IdempotencyStore, Idempotent, MemoryStore
from dispytch.listener import EventListener
from dispytch.messages import Delivery, Message
from dispytch.middleware import Middleware, provides
from dispytch.replay import DeadLetter, DeadLetters
from dispytch.retry import RetryPolicy
from dispytch.routing import HandlerGroup
from dispytch.serialization import CloudEvents, Envelope0x
from dispytch.upcasts import Upcast, upcast

__path__ = pkgutil.extend_path(__path__, __name__)

__all__ = [
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
    "Reject",
    "RetryAfter",
    "RetryPolicy",
    "Skip",
    "TopicSegment",
    "Upcast",
    "__path__",
    "provides",
    "upcast",
]
