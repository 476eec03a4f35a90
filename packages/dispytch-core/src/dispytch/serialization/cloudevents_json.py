"""CloudEvents in structured mode: one JSON object with the attributes and the data.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import base64
import codecs
from codecs import BOM_UTF8
from collections.abc import Mapping
from email.message import Message
from typing import Any, Final, cast

import pydantic_core

from dispytch.envelope import Envelope
from dispytch.exceptions import DecodeError
from dispytch.printable import printable, quoted
from dispytch.serialization.cloudevents_attributes import (
    SPECVERSION,
    VERSION,
    check_specversion,
    envelope_of,
    is_name,
    version_of,
)
from dispytch.serialization.codec import JSON

STRUCTURED: Final = "application/cloudevents+json"
_BATCH: Final = "application/cloudevents-batch"
_DATA: Final = ("data", "data_base64")
_TEXTS: Final = (
    "id",
    "type",
    "source",
    "time",
    "datacontenttype",
    "subject",
    "dataschema",
)


def is_structured(content_type: bytes) -> bool:
    """Whether a content type says that the attributes are in the message's value."""
    return content_type[:40].strip().lower().startswith(b"application/cloudevents")


def read_structured(content_type: bytes, value: bytes) -> Envelope:
    """The envelope that a message's value holds.

    Raises:
        DecodeError: it holds none, or is of a format that is not read.
    """
    said = content_type.decode(errors="replace")
    bare = said.partition(";")[0].strip().lower()
    if bare.startswith(_BATCH):
        raise DecodeError(
            f"CloudEvents as {quoted(said)} cannot be read: a message holds one event here, so "
            "that each is handled, retried and settled by itself; have its producer send them one "
            "by one"
        )
    if bare != STRUCTURED:
        raise DecodeError(f"CloudEvents as {quoted(said)} cannot be read; {STRUCTURED!r} can")
    return _envelope(_json_object(_utf8(value, said)))


def _envelope(event: Mapping[str, Any]) -> Envelope:
    specversion = event.get(SPECVERSION)
    check_specversion("none at all" if specversion is None else str(specversion))
    for name in _TEXTS:
        if not isinstance(event.get(name), str | None):
            raise DecodeError(
                f"a CloudEvent's {name!r} must be a text, not {printable(event[name])}"
            )
    version_of(event.get(VERSION))
    data, content_type = _data(event, event.get("datacontenttype") or None)
    attributes = {
        name: _text(one)
        for name, one in event.items()
        if one is not None and name not in _DATA and is_name(name)
    }
    return envelope_of(attributes, content_type, data)


def _text(value: Any) -> str:
    """An attribute as the text that it is in binary mode."""
    return value if isinstance(value, str) else pydantic_core.to_json(value).decode()


def _data(event: Mapping[str, Any], content_type: str | None) -> tuple[bytes, str | None]:
    """The body, and its content type: that of the first codec for bytes of which nothing is told"""
    encoded, data = event.get("data_base64"), event.get("data")
    if encoded is not None:
        if data is not None:
            raise DecodeError("a CloudEvent has both data and data_base64, and may have one")
        return _decoded(encoded), content_type
    content_type = content_type or JSON
    if isinstance(data, str) and not _is_json(content_type):
        return data.encode(), content_type
    return pydantic_core.to_json(data, inf_nan_mode="constants"), content_type


def _decoded(encoded: object) -> bytes:
    try:
        return base64.b64decode(cast(Any, encoded), validate=True)
    except (TypeError, ValueError) as error:
        raise DecodeError(
            f"the CloudEvent's data_base64 is not base64: {printable(error)}"
        ) from error


def _is_json(content_type: str) -> bool:
    bare = content_type.partition(";")[0].strip().lower()
    return bare in (JSON, "text/json") or bare.endswith("+json")


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        event: Any = pydantic_core.from_json(value.removeprefix(BOM_UTF8))
    except ValueError as error:
        raise DecodeError(f"a structured CloudEvent is not JSON: {printable(error)}") from error
    if not isinstance(event, dict):
        raise DecodeError("a structured CloudEvent is not a JSON object")
    return cast("dict[str, Any]", event)


def _utf8(value: bytes, content_type: str) -> bytes:
    """A value in UTF-8, whatever charset the content type names."""
    charset = parameter(content_type, "charset")
    if charset is None or charset.lower() in ("utf-8", "utf8", "us-ascii"):
        return value.removeprefix(codecs.BOM_UTF8)
    try:
        return value.decode(charset).encode()
    except (LookupError, ValueError) as error:
        raise DecodeError(
            f"a structured CloudEvent is no text of the charset {quoted(charset)}"
        ) from error


def parameter(content_type: str, name: str) -> str | None:
    """A parameter of a content type."""
    if ";" not in content_type:
        return None
    message = Message()
    message["content-type"] = content_type[:1000].replace("\r", " ").replace("\n", " ")
    found = message.get_param(name)
    return found if isinstance(found, str) and found else None
