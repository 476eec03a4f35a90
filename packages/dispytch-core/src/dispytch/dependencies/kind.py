"""What calling a callable gives: a value, an awaitable, or a generator."""

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from dispytch.dependencies.callables import is_mock, layers_of


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

    ``is_async``: an awaitable, for certain, or an async generator. ``is_generator``: a generator.
    ``wraps_async``: it wraps what is async, and so most likely gives an awaitable.
    """

    func: Callable[..., Any]
    is_async: bool = False
    is_generator: bool = False
    wraps_async: bool = False

    @property
    def waits(self) -> bool:
        """Whether it is called in the event loop, and never in a thread."""
        return self.is_async or self.wraps_async


def kind_of(func: Callable[..., Any]) -> Kind:
    """What ``func`` gives, without calling it.

    A wrapper that names what it wraps counts as what it wraps, as far as generators go. What
    contextlib's decorators made is opened up: it gives the generator.
    """
    made, wrapped = func, False
    for layer in layers_of(func):
        if is_mock(layer):
            break
        if inspect.isasyncgenfunction(layer):
            return Kind(made, is_async=True, is_generator=True)
        if inspect.iscoroutinefunction(layer) or _is_marked(layer):
            return Kind(made, is_async=not wrapped, wraps_async=wrapped)
        if inspect.isgeneratorfunction(layer):
            return Kind(made, is_generator=True)
        if getattr(layer, "__code__", None) in _MANAGER_CODE:
            made = _opened(func)
        wrapped |= "__wrapped__" in getattr(layer, "__dict__", {})
    return Kind(func)


def _is_marked(layer: Any) -> bool:
    """Whether it is a generator that counts as a coroutine: ``types.coroutine`` made it."""
    code = getattr(layer, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _opened(manager: Callable[..., Any]) -> Callable[..., Any]:
    def generator(*args: Any, **kwargs: Any) -> Any:
        return manager(*args, **kwargs).gen

    return generator
