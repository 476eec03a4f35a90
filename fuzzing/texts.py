"""What may stand in an error's text, a log line or a header that dispytch writes."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from fuzzing.target import Finding

CANARY: Final = "CaNaRy"
"""Stands in the values of bodies among the seeds, and nowhere else."""

LONGEST: Final = 4_000
"""Characters of an error's text; what comes from the wire is cut long before."""


def check_error(error: BaseException, body: bytes) -> None:
    """Neither the text nor the traceback of an error shows a value of the body, or control codes.

    Raises:
        Finding: one of them does.
    """
    check_text(str(error), body)
    for chained in _chain(error):
        if isinstance(chained, ValidationError):
            # Its text has the values, and takes seconds where there is much to complain about.
            raise Finding("the traceback shows pydantic's error")
        if leaks(str(chained), body):
            raise Finding("the traceback holds a value of the body")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """What a traceback shows before the error itself."""
    following = error
    while True:
        before = following.__cause__
        if before is None and not following.__suppress_context__:
            before = following.__context__
        if before is None:
            return
        yield before
        following = before


def check_text(text: str, body: bytes) -> None:
    """A text is short, printable, and shows no value of the body.

    Raises:
        Finding: it is not.
    """
    if len(text) > LONGEST:
        raise Finding(f"a text of {len(text)} characters")
    if unprintable := {sign for sign in text if not sign.isprintable() and sign != "\n"}:
        raise Finding(f"a text holds control codes: {sorted(unprintable)[:5]!a}")
    if leaks(text, body):
        raise Finding("a text holds a value of the body")


def leaks(text: str, body: bytes) -> bool:
    """Whether a text shows the canary, although it stands only in values of the body.

    Names and attributes are the sender's too, but may be shown: keys, types, headers.
    """
    return CANARY in text and not _in_a_name(body)


def _in_a_name(body: bytes) -> bool:
    try:
        plain: Any = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if isinstance(plain, dict) and not _ENVELOPE.isdisjoint(plain):
        attributes = {name: value for name, value in plain.items() if name not in _BODIES}
        return CANARY in json.dumps(attributes) or _has_name(plain)
    return _has_name(plain)


_ENVELOPE: Final = {"data", "data_base64", "body", "specversion"}
_BODIES: Final = _ENVELOPE - {"specversion"}
"""Where an envelope in JSON has the body; what is beside it are attributes."""


def _has_name(plain: Any) -> bool:
    waiting = [plain]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if any(CANARY in name for name in one):
                return True
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False
