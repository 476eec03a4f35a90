"""Handlers that take several events at once: how they get them, and what goes around them."""

from dispytch.batch.batch import Batch, By
from dispytch.batch.failures import failures_among
from dispytch.batch.middleware import BatchMiddleware, NextBatch, alone, wrap_batch

__all__ = [
    "Batch",
    "BatchMiddleware",
    "By",
    "NextBatch",
    "alone",
    "failures_among",
    "wrap_batch",
]
