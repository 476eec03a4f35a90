"""Callables of every form, reduced to the function that is written in the source."""

from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any


def layers_of(target: Any) -> Iterator[Any]:
    """A callable, then what it wraps or calls, one by one, down to the function in the source.

    It looks through partials, methods, classes, objects with ``__call__``, and wrappers that name
    what they wrap, as ``functools.wraps`` does.
    """
    while target is not None:
        yield target
        target = _within(target)


def function_of(target: Any) -> FunctionType | None:
    """The function in the source, or None for what is not written in Python."""
    *_, function = layers_of(target)
    return function if isinstance(function, FunctionType) else None


def name_of(target: Any) -> str:
    """The name by which errors speak of a callable."""
    if isinstance(target, partial):
        return name_of(target.func)
    return getattr(target, "__qualname__", None) or type(target).__qualname__


def full_name_of(target: Any) -> str:
    """Its name with the module that it is in."""
    if isinstance(target, partial):
        return full_name_of(target.func)
    return f"{getattr(target, '__module__', None) or '?'}.{name_of(target)}"


def identity_of(target: Callable[..., Any]) -> object:
    """What two callables have in common exactly when they are the same.

    Every access makes a new bound method of the same function and object.
    """
    if isinstance(target, MethodType):
        return id(target.__self__), id(target.__func__)
    return id(target)


def _within(target: Any) -> Any:
    if isinstance(target, type):
        return _maker(target)
    if hasattr(target, "__wrapped__"):
        return target.__wrapped__
    if isinstance(target, FunctionType):
        return None
    if isinstance(target, partial):
        return target.func
    if isinstance(target, MethodType):
        return target.__func__
    call = type(target).__call__
    return call if isinstance(call, FunctionType) else None


def _maker(cls: type) -> FunctionType | None:
    """The method that takes the arguments when the class is called."""
    for owner in cls.__mro__:
        for name in ("__init__", "__new__"):
            maker = vars(owner).get(name)
            maker = maker.__func__ if isinstance(maker, staticmethod) else maker
            if isinstance(maker, FunctionType):
                return maker
    return None
