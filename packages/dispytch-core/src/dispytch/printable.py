"""Text that is safe to show, of whatever came from the wire or from an exception: pure.

Logs, listings, headers and errors show strange things: a topic with newlines in it, a JSON key of
100 MB, an exception whose ``__str__`` raises. All of them go through here.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Final, cast

from pydantic import ValidationError

from dispytch.faults import faults_of

LIMIT: Final = 200
"""How many bytes a text is cut after where nobody asks for more."""

TEXT_LIMIT: Final = 1_000
"""The same, for the text of an exception."""

_CUT: Final = "..."
_ITEMS: Final = 10
_DEPTH: Final = 3
_DIGITS: Final = 100

_NAME: Final = type.__dict__["__name__"]
_QUALIFIED_NAME: Final = type.__dict__["__qualname__"]
_MODULE: Final = type.__dict__["__module__"]
"""The descriptors themselves: a metaclass cannot have them raise."""

_ARGS: Final = BaseException.__dict__["args"]
_TEXT_IS_ARGS: Final = (BaseException.__str__, KeyError.__str__)


def printable(value: object, limit: int = LIMIT) -> str:
    """A short text of anything, on one line.

    It has at most ``limit`` bytes in UTF-8, and so no more characters than that, and ends with
    ``...`` where something was left out. Whatever is not printable is escaped as in Python's own
    literals: control characters, newlines, lone surrogates, characters that change the direction.
    What is cut off is never looked at.

    Bytes are shown as the UTF-8 that they are, escaped where they are not; containers by their
    first items; an exception by its text, but a `pydantic.ValidationError` without the values that
    it complains about. It never raises: of what has no text, the type is named.
    """
    try:
        text = _text(value, limit)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        text = f"<{type_name(value)} without a text>"
    return _escaped(text, limit)


def quoted(value: object, limit: int = LIMIT) -> str:
    """As `printable`, between quotes; None stays bare: for names and texts within a sentence."""
    return "None" if value is None else f"'{printable(value, limit)}'"


def described(error: BaseException, limit: int = TEXT_LIMIT) -> str:
    """An exception by its type and its text, as `printable` shows it."""
    text = printable(error, limit)
    name = type_name(error)
    return printable(f"{name}: {text}" if text else name, limit)


def type_name(value: object) -> str:
    """The name of a value's class, which cannot fail."""
    return cast("str", _NAME.__get__(type(value)))


def qualified_name(value: object) -> str:
    """The name of a value's class with its module, which cannot fail."""
    module: object = _MODULE.__get__(type(value))
    name: str = _QUALIFIED_NAME.__get__(type(value))
    return f"{module}.{name}" if type(module) is str else name


def _text(value: object, limit: int) -> str:
    """A text that may still be too long, and hold anything."""
    if isinstance(value, str):
        return str.__getitem__(value, slice(limit + 1))
    if isinstance(value, bytes | bytearray):
        return bytes(value[: limit + 1]).decode("utf-8", "backslashreplace")
    if isinstance(value, BaseException):
        return _of_error(value, limit)
    text = _literal(value, limit, _DEPTH)
    return str.__getitem__(str(value) if text is None else text, slice(limit + 1))


def _of_error(error: BaseException, limit: int) -> str:
    if isinstance(error, ValidationError):
        return f"{error.title}: {faults_of(error)}"
    text_of = type(error).__str__
    if text_of not in _TEXT_IS_ARGS:
        return str.__getitem__(str(error), slice(limit + 1))
    # A text of 100 MB is not made to be cut.
    args: tuple[object, ...] = _ARGS.__get__(error)
    if len(args) == 1:
        return _text(args[0], limit) if text_of is not KeyError.__str__ else _repr(args[0], limit)
    return _sequence(args, "()", limit, _DEPTH) if args else ""


def _literal(value: object, limit: int, depth: int) -> str | None:
    """Plain data as Python would write it; None for anything else."""
    kind = type(value)
    if kind is int:
        number = cast("int", value)
        # Python refuses to write more than a few thousand digits, and takes its time for them.
        return str(number) if number.bit_length() <= _DIGITS * 4 else "<a huge int>"
    if kind is list:
        return _sequence(cast("list[object]", value), "[]", limit, depth)
    if kind is tuple:
        return _sequence(cast("tuple[object, ...]", value), "()", limit, depth)
    if kind is set or kind is frozenset:
        return _sequence(cast("Set[object]", value), "{}", limit, depth)
    if kind is dict:
        return _mapping(cast("dict[object, object]", value), limit, depth)
    return None


def _repr(value: object, limit: int, depth: int = _DEPTH) -> str:
    if type(value) is str or type(value) is bytes:
        return repr(value[: limit + 1])
    literal = _literal(value, limit, depth)
    return str.__getitem__(repr(value), slice(limit + 1)) if literal is None else literal


def _sequence(items: Sequence[object] | Set[object], brackets: str, limit: int, depth: int) -> str:
    return _joined(items, brackets, depth, lambda one: _repr(one, limit, depth - 1))


def _mapping(items: Mapping[object, object], limit: int, depth: int) -> str:
    def entry(key: object) -> str:
        return f"{_repr(key, limit, depth - 1)}: {_repr(items[key], limit, depth - 1)}"

    return _joined(items, "{}", depth, entry)


def _joined(items: Any, brackets: str, depth: int, show: Callable[[object], str]) -> str:
    if depth <= 0:
        return brackets[0] + _CUT + brackets[1]
    shown = [show(one) for one, _ in zip(items, range(_ITEMS), strict=False)]
    if len(items) > _ITEMS:
        shown.append(_CUT)
    return brackets[0] + ", ".join(shown) + brackets[1]


def _escaped(text: str, limit: int) -> str:
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    size = kept = 0
    room = limit - len(_CUT)
    for char in text[: limit + 1]:
        one = char if char.isprintable() else _escape(char)
        size += 1 if one.isascii() and len(one) == 1 else len(one.encode())
        if size > limit:
            return "".join(shown[:kept]) + _CUT
        shown.append(one)
        if size <= room:
            kept = len(shown)
    return "".join(shown)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
