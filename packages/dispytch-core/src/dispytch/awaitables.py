"""What may be awaitable, whatever it was declared as."""

from inspect import CO_ITERABLE_COROUTINE
from types import GeneratorType
from typing import Any


def is_awaitable(value: object) -> bool:
    """Whether it can be awaited.

    Its class says so: a mock of something awaitable pretends to be, and is not.
    """
    if hasattr(type(value), "__await__"):
        return True
    return type(value) is GeneratorType and bool(value.gi_code.co_flags & CO_ITERABLE_COROUTINE)


async def awaited(value: Any) -> Any:
    """What a function has given in the end: the value, or what comes of awaiting it."""
    return await value if is_awaitable(value) else value
