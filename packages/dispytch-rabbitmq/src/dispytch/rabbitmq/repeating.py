"""What a message that is sent on keeps of the delivery it repeats: pure.

Value, key and headers are in the message, the headers as bytes. AMQP knows more: properties, and
the types of header values. They are kept wherever the message still says the same.
"""

import re
from typing import Any, Final

from dispytch.messages import Header, Headers
from dispytch.rabbitmq.driver import Properties
from dispytch.rabbitmq.header_values import raws, written

_KEPT: Final = ("content_encoding", "correlation_id", "reply_to", "message_id", "app_id")
_READ_AS_HEADERS: Final = {"type": "type", "message-id": "message_id"}
"""The headers under which properties are read where a message has no such header."""

BROKER_HEADERS: Final = (
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
    "x-received-from",
    "x-routed-by",
    "x-shovelled",
    "timestamp_in_ms",
)
"""How the names of headers begin that the broker, or one of its plugins, writes."""

_DEATHS: Final = "x-death"
_OUR_DELAY_QUEUE: Final = re.compile(r"\.#\.delay\.\d+(\.\d+)?:")


def kept_strings(first: Properties, user: str | None) -> dict[str, str]:
    """The short strings among the properties of a delivery that are sent on by a user.

    Not the content type, which is a header of the message.
    """
    given = {name: getattr(first, name, None) for name in _KEPT}
    given["type"] = first.message_type
    given["user_id"] = first.user_id if first.user_id == user else None
    return {name: text for name, text in given.items() if text is not None}


def stands_in(kept: dict[str, str], first: Properties, header: Header) -> bool:
    """Whether a header was not one at the broker, but stands for a property that is kept.

    A property whose header has been changed is kept no longer; the header is.
    """
    name, value = header
    own = _READ_AS_HEADERS.get(name)
    if own is None or own not in kept or name in (first.headers or {}):
        return False
    if written(kept[own]) == value:
        return True
    del kept[own]
    return False


def drop_removed(kept: dict[str, str], first: Properties, given: Headers) -> None:
    """Keep no property that was read as a header which the message does not have any more."""
    names = {name for name, _ in given}
    for name, own in _READ_AS_HEADERS.items():
        if name not in names and name not in (first.headers or {}):
            kept.pop(own, None)


def with_types(given: dict[str, Any], native: dict[str, Any]) -> dict[str, Any]:
    """Headers with their first types, where they say what they said; empty arrays are kept too."""
    headers = {
        name: native[name] if name in native and raws(native[name]) == raws(value) else value
        for name, value in given.items()
    }
    return headers | {name: value for name, value in native.items() if value == []}


def as_they_came(headers: dict[str, Any], first: Properties) -> dict[str, bytes]:
    """The bytes of those headers that are the ones of the delivery, untouched."""
    native: dict[str, Any] = first.headers or {}
    return {
        name: raw
        for name, raw in first.wire.items()
        if name in headers and headers[name] is native.get(name)
    }


def without_delays(given: Properties) -> Properties:
    """The properties, without what the broker has added to a message that was kept back."""
    headers: dict[str, Any] = given.headers or {}
    told = headers.get(_DEATHS)
    if not isinstance(told, list):
        return given
    deaths: list[Any] = [death for death in told if not _is_ours(death)]  # pyright: ignore[reportUnknownVariableType]
    if len(deaths) < len(told):  # pyright: ignore[reportUnknownArgumentType]
        given.headers = _with_deaths(headers, deaths)
        given.wire.pop(_DEATHS, None)
    return given


def _with_deaths(headers: dict[str, Any], deaths: list[Any]) -> dict[str, Any]:
    names = ("x-first-death-queue", "x-last-death-queue")
    dropped = [
        name.removesuffix("queue")
        for name in names
        if not deaths or _OUR_DELAY_QUEUE.search(str(headers.get(name, "")))
    ]
    kept = {
        name: value
        for name, value in headers.items()
        if not name.startswith(tuple(dropped)) and name != _DEATHS
    }
    return kept | {_DEATHS: deaths} if deaths else kept


def _is_ours(death: Any) -> bool:
    # As no topic has the word, no other queue's name looks like this.
    match death:
        case {"queue": str(queue)}:
            return bool(_OUR_DELAY_QUEUE.search(queue))
        case _:
            return False
