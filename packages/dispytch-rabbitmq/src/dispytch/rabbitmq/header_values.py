"""The values of AMQP headers, which have types, as the bytes that dispytch has, and back."""

import json
from datetime import datetime
from typing import Any


def written(text: str) -> bytes:
    """The bytes of a text that came from the wire, with those that were not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def text_or_bytes(value: bytes) -> str | bytearray:
    """A string where the bytes are UTF-8, else a byte array."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return bytearray(value)


def raws(value: Any) -> list[bytes | None]:
    """The bytes of each element of an array; of any other value, its own."""
    if isinstance(value, list):
        return [raw_or_null(element) for element in value]  # pyright: ignore[reportUnknownVariableType]
    return [raw_or_null(value)]


def raw_or_null(value: Any) -> bytes | None:
    """The text that a person would write for a value; bytes as they are; None for a void."""
    return None if value is None else _raw(value)


def _raw(value: Any) -> bytes:
    match value:
        case str():
            return written(value)
        case bytes() | bytearray():
            return bytes(value)
        case datetime():
            return b"%d" % milliseconds(value)
        case _:
            return json.dumps(value, default=_for_json).encode()


def _for_json(value: Any) -> Any:
    match value:
        case bytes() | bytearray():
            return value.decode("utf-8", "replace")
        case datetime():
            return milliseconds(value)
        case _:
            return str(value)


def milliseconds(moment: datetime) -> int:
    """Since the epoch."""
    return round(moment.timestamp() * 1000)
