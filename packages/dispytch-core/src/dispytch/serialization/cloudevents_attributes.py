"""The attributes of a CloudEvent as texts by their names, made into an envelope.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from dispytch.envelope import Envelope, time_of
from dispytch.exceptions import DecodeError
from dispytch.printable import printable, quoted

VERSION: Final = "dataversion"
"""Dispytch's extension attribute for the version of a body, named as in the event schema of Azure
Event Grid. Producers that know nothing of it leave it away."""

SPECVERSION: Final = "specversion"
_REQUIRED: Final = ("id", "type", "source")
_FIELDS: Final = frozenset((*_REQUIRED, "time", "datacontenttype"))
_NAME: Final = re.compile(r"[a-z0-9]+")


def is_name(text: str) -> bool:
    """Whether an attribute may have this name, in lower case."""
    return _NAME.fullmatch(text) is not None


def envelope_of(
    attributes: Mapping[str, str],
    content_type: str | None,
    data: bytes | None,
    *,
    prefix: str = "",
    schema_id: bytes | None = None,
) -> Envelope:
    """The envelope of a CloudEvent.

    prefix: what stands before the names where they come from.

    Raises:
        DecodeError: an attribute is missing, empty or wrong.
    """
    version = attributes.get(SPECVERSION)
    if version != "1.0":
        check_specversion(version, prefix)
    for name in _REQUIRED:
        if name not in attributes:
            raise DecodeError(f"a CloudEvent lacks the attribute {prefix + name!r}")
        if not attributes[name]:
            raise DecodeError(f"a CloudEvent's {prefix + name!r} is empty")
    time = attributes.get("time")
    if time is not None:
        check_time(time)
    return Envelope(
        attributes["id"],
        attributes["type"],
        attributes["source"],
        time,
        content_type,
        data,
        version_of(attributes.get(VERSION)),
        schema_id,
        {name: text for name, text in attributes.items() if name not in _FIELDS},
    )


def check_specversion(version: str | None, prefix: str = "") -> None:
    """Refuse what is no CloudEvent of the first major version.

    Raises:
        DecodeError: it is none.
    """
    if version is None:
        raise DecodeError(f"a CloudEvent lacks the attribute {prefix + SPECVERSION!r}")
    if not version.startswith("1."):
        raise DecodeError(f"CloudEvents 1.x can be read, this one says {quoted(version)}")


def check_time(text: str) -> None:
    """Refuse a time that is none.

    Raises:
        DecodeError: it is none.
    """
    try:
        time_of(text)
    except ValueError as error:
        raise DecodeError(
            f"the event's time {quoted(text)} is not RFC 3339: {printable(error)}"
        ) from error


def time_from_number(milliseconds: int) -> str:
    """The time that AMQP has as a number since the epoch.

    Raises:
        DecodeError: it is beyond the calendar.
    """
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise DecodeError(
            f"the CloudEvent's time {quoted(milliseconds)} is no time: {printable(error)}"
        ) from error


def version_of(value: Any) -> int | None:
    """The version of the body, which CloudEvents carries as a number or as text.

    Raises:
        DecodeError: it is no number from 1.
    """
    if value is None or (type(value) is int and value >= 1):
        return value
    try:
        version = int(value)
    except (TypeError, ValueError, OverflowError):
        version = 0
    if version < 1 or isinstance(value, bool | float):
        raise DecodeError(
            f"the CloudEvent's {VERSION} must be a number from 1, not {quoted(value)}"
        )
    return version
