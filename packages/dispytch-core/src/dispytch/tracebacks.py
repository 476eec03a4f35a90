"""Tracebacks that are safe to show, for the log and for headers.

Python's own format an exception whole: that of a large `pydantic.ValidationError` takes minutes and
gigabytes, and shows the values that were refused.
"""

import logging
import traceback
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Final, cast

from pydantic import ValidationError

from dispytch.printable import described, printable

LIMIT: Final = 16_000
"""How many bytes of a traceback are logged: the last ones."""

_FRAMES: Final = 30
_CHAINED: Final = 8
_MEMBERS: Final = 5
_DEPTH: Final = 3
_NOTES: Final = 5
_LOOKED_AT: Final = 100

_CAUSED: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"

_CAUSE: Final = BaseException.__dict__["__cause__"]
_CONTEXT: Final = BaseException.__dict__["__context__"]
_SUPPRESSED: Final = BaseException.__dict__["__suppress_context__"]
_TRACEBACK: Final = BaseException.__dict__["__traceback__"]
_EXCEPTIONS: Final = BaseExceptionGroup.__dict__["exceptions"]
"""The descriptors themselves: a subclass cannot have them raise."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def traceback_text(error: BaseException, limit: int = LIMIT) -> str:
    """A traceback as Python shows it, the last ``limit`` bytes of it.

    Texts of exceptions are shown as `dispytch.printable.described` does. It never raises.
    """
    text = "".join(_chain(error, _DEPTH)).encode("utf-8", "backslashreplace")
    return text[-limit:].decode("utf-8", "ignore")


def exc_info(error: BaseException | None) -> ExcInfo | None:
    """An exception for the parameter ``exc_info`` of a logger, which asks whether it is true."""
    return None if error is None else (type(error), error, _TRACEBACK.__get__(error))


class SafeTracebacks(logging.Filter):
    """Gives records the safe text of their traceback, and passes all of them.

    A formatter takes that text and makes none of its own. Where the exception cannot be formatted
    safely by others either, as those who log in JSON do, the text is all that they get.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass the record."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and record.exc_text is None:
            record.exc_text = traceback_text(error)
            if any(issubclass(type(one), ValidationError) for one in _all(error, _DEPTH)):
                record.exc_info = None
        return True


def _chain(error: BaseException, depth: int) -> Iterator[str]:
    *before, (last, _) = _links(error)
    for one, following in before:
        yield from _one(one, depth)
        yield following
    yield from _one(last, depth)


def _links(error: BaseException) -> list[tuple[BaseException, str]]:
    """What led to an exception, the first cause first, each with what is said after it."""
    links: list[tuple[BaseException, str]] = [(error, "")]
    seen = {id(error)}
    while len(links) < _CHAINED:
        cause = _CAUSE.__get__(error)
        context = None if _SUPPRESSED.__get__(error) else _CONTEXT.__get__(error)
        before = context if cause is None else cause
        if before is None or id(before) in seen:
            break
        links.append((before, _DURING if cause is None else _CAUSED))
        seen.add(id(before))
        error = before
    return links[::-1]


def _one(error: BaseException, depth: int) -> Iterator[str]:
    frames = _TRACEBACK.__get__(error)
    if frames is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.extract_tb(frames, limit=-_FRAMES).format()
    yield f"{described(error)}\n"
    for note in _notes(error):
        yield f"{printable(note)}\n"
    for number, member in enumerate(_members(error), 1):
        if depth > 0 and number <= _MEMBERS:
            yield f"--- {number} ---\n"
            yield from _chain(member, depth - 1)


def _notes(error: BaseException) -> list[object]:
    try:
        notes: object = error.__notes__
        return cast("list[object]", notes)[:_NOTES] if type(notes) is list else []
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return []


def _members(error: BaseException) -> tuple[BaseException, ...]:
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    group: tuple[BaseException, ...] = _EXCEPTIONS.__get__(cast("Any", error))
    return group


def _all(error: BaseException, depth: int) -> Iterator[BaseException]:
    """An exception, what led to it, and what those that are groups hold."""
    for one, _ in _links(error):
        yield one
        for member in islice(_members(one), _LOOKED_AT):
            if depth > 0:
                yield from _all(member, depth - 1)


logging.getLogger("dispytch").addFilter(SafeTracebacks())
