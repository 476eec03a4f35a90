"""What calling a callable gives: a value, an awaitable, or a generator."""

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from dispytch.dependencies.callables import layers_of


@contextmanager
def _sync_manager() -> Generator[None, None, None]:
    yield


@asynccontextmanager
async def _async_manager() -> AsyncGenerator[None, None]:
    yield


_MANAGER_CODE: Final = (_sync_manager.__code__, _async_manager.__code__)
"""What all functions share that the decorators of contextlib return."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A callable and what calling it gives.

    ``is_async``: an awaitable, or an async generator. ``is_generator``: a generator.
    """

    func: Callable[..., Any]
    is_async: bool = False
    is_generator: bool = False


def kind_of(func: Callable[..., Any]) -> Kind:
    """What ``func`` gives, without calling it.

    A wrapper that names what it wraps counts as what it wraps. What contextlib's decorators made
    is opened up: it gives the generator.
    """
    made = func
    for layer in layers_of(func):
        if inspect.isasyncgenfunction(layer):
            return Kind(made, is_async=True, is_generator=True)
        if inspect.isgeneratorfunction(layer):
            return Kind(made, is_generator=True)
        if inspect.iscoroutinefunction(layer):
            return Kind(made, is_async=True)
        if getattr(layer, "__code__", None) in _MANAGER_CODE:
            made = _opened(func)
    return Kind(func)


def _opened(manager: Callable[..., Any]) -> Callable[..., Any]:
    def generator(*args: Any, **kwargs: Any) -> Any:
        return manager(*args, **kwargs).gen

    return generator
