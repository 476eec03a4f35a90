"""Callables of every form, reduced to the function that is written in the source."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any, get_args, get_origin


def layers_of(target: Any) -> Iterator[Any]:
    """A callable, then what it wraps or calls, one by one, down to the function in the source.

    It looks through partials, methods, classes, also with type arguments, objects with
    ``__call__``, and wrappers that name what they wrap, as ``functools.wraps`` does. What a mock
    does is not known, and nothing lies within it.
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
    if get_args(target):
        arguments = ", ".join(getattr(one, "__qualname__", str(one)) for one in get_args(target))
        return f"{name_of(get_origin(target))}[{arguments}]"
    name = None if is_mock(target) else getattr(target, "__qualname__", None)
    return name or type(target).__qualname__


def full_name_of(target: Any) -> str:
    """Its name with the module that it is in."""
    if isinstance(target, partial):
        return full_name_of(target.func)
    return f"{getattr(target, '__module__', None) or '?'}.{name_of(target)}"


def identity_of(target: Callable[..., Any]) -> object:
    """What two callables have in common exactly when they are the same: they are equal.

    What cannot be hashed is equal to itself alone. Every access makes a new bound method of the
    same function and object.
    """
    if isinstance(target, MethodType):
        return id(target.__self__), id(target.__func__)
    try:
        hash(target)
    except Exception:
        return id(target)
    return target


def is_mock(target: object) -> bool:
    """Whether it is one of `unittest.mock`; it pretends to have whatever it is asked for."""
    mock = sys.modules.get("unittest.mock")
    return mock is not None and issubclass(type(target), mock.NonCallableMock)


def _within(target: Any) -> Any:
    if is_mock(target):
        return None
    if isinstance(get_origin(target), type):
        return get_origin(target)
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
