"""Code around handlers: what a middleware is, and those that come with dispytch."""

from dispytch.batch import BatchMiddleware, NextBatch
from dispytch.middleware.chain import Middleware, Next, checked, wrap
from dispytch.middleware.concurrency_limit import ConcurrencyLimit
from dispytch.middleware.exception_mapping import Replacement, map_exceptions
from dispytch.middleware.filtering import Filter, Predicate
from dispytch.middleware.idempotency import IdempotencyStore, Idempotent, MemoryStore
from dispytch.middleware.log import Log
from dispytch.middleware.providing import provided_within, provides
from dispytch.middleware.rate_limit import RateLimit
from dispytch.middleware.timing import Ending, Run, Timing

__all__ = [
    "BatchMiddleware",
    "ConcurrencyLimit",
    "Ending",
    "Filter",
    "IdempotencyStore",
    "Idempotent",
    "Log",
    "MemoryStore",
    "Middleware",
    "Next",
    "NextBatch",
    "Predicate",
    "RateLimit",
    "Replacement",
    "Run",
    "Timing",
    "checked",
    "map_exceptions",
    "provided_within",
    "provides",
    "wrap",
]
