"""CloudEvents 1.0, and messages that carry no envelope at all.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, with the Kafka and
AMQP protocol bindings beside it and the JSON event format.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, cast

import pydantic_core

from dispytch.envelope import Envelope
from dispytch.exceptions import DecodeError
from dispytch.messages import CONTENT_TYPE, Delivery, Header, Headers, present
from dispytch.serialization.codec import JSON
from dispytch.serialization.refusals import refusal_of
from dispytch.serialization.wire import Reader, WireFormat, Writer

TypeOf = Callable[[Delivery], str | None]
"""Tells the type of a message that has no envelope."""

_VERSION: Final = "dataversion"
"""Dispytch's extension attribute for the version of a body, named as in the event schema of Azure
Event Grid. Producers that know nothing of it leave it away."""

_SPECVERSION: Final = b"1.0"
_JSON: Final = JSON.encode()
_ALWAYS_WRITTEN: Final = 6
"""How many headers every event with a type and a time is written with: those before the version."""
_KINDS: Final = 1024
"""Of how many kinds of events the headers that don't change are remembered."""

_STRUCTURED = b"application/cloudevents+json"
_STRUCTURED_ANY = b"application/cloudevents"


class CloudEvents(WireFormat):
    """The default format: CloudEvents in binary mode is written; binary and structured are read.

    A message without CloudEvents attributes is a *plain* one: its whole value is the body, its
    type is what ``type_of`` says, or else what the header named ``type_header`` holds (where AMQP's
    ``type`` property appears too), or else unknown: then only handlers with ``event=None`` take it.
    Its id is the header ``message-id``, or else its place at the broker.
    """

    def __init__(self, *, type_header: str = "type", type_of: TypeOf | None = None) -> None:
        self._type_header = type_header
        self._type_of = type_of

    def reader(self, prefixes: Sequence[str]) -> Reader:
        """Read structured mode by its content type, binary mode by its headers; else plain."""
        binary = [_binary_reader(prefix) for prefix in prefixes]

        def read(delivery: Delivery) -> Envelope:
            # A null attribute is one that is missing.
            headers = present(delivery.headers)
            content_type = headers.get(CONTENT_TYPE)
            # A structured message may repeat its attributes among the headers.
            if content_type and content_type != _JSON:
                kind = content_type.lower()
                if kind.startswith(_STRUCTURED_ANY):
                    return _read_structured(kind, delivery.value or b"")
            for read_binary in binary:
                envelope = read_binary(headers, content_type, delivery.value)
                if envelope is not None:
                    return envelope
            return self._read_plain(headers, delivery)

        return _reading_own(prefixes[0], read)

    def writer(self, prefixes: Sequence[str]) -> Writer:
        """Write binary mode."""
        _, id_, source, specversion, time, type_, version = _written(prefixes[0])

        @lru_cache(_KINDS)
        def fixed(kind: str | None, origin: str, content_type: str) -> Sequence[Header]:
            # They are the same for all events of a class, and so written once for all of them.
            return (
                (CONTENT_TYPE, content_type.encode()),
                (source, origin.encode()),
                (specversion, _SPECVERSION),
                (type_, (kind or "").encode()),
            )

        def write(envelope: Envelope) -> tuple[bytes | None, Headers]:
            of_type, of_source, of_version, of_kind = fixed(
                envelope.type, envelope.source or "", envelope.content_type or JSON
            )
            headers = [of_type, (id_, envelope.id.encode()), of_source, of_version]
            if envelope.time is not None:
                headers.append((time, envelope.time.encode()))
            if envelope.type is not None:
                headers.append(of_kind)
            if envelope.version is not None:
                headers.append((version, str(envelope.version).encode()))
            return envelope.data, headers

        return write

    def _read_plain(self, headers: Mapping[str, bytes], delivery: Delivery) -> Envelope:
        place = f"{delivery.lease.stream}/{delivery.position}"
        return Envelope(
            id=_text(headers, "message-id") or place,
            type=self._plain_type(headers, delivery),
            source=None,
            time=None,
            content_type=_text(headers, CONTENT_TYPE) or None,
            data=delivery.value,
        )

    def _plain_type(self, headers: Mapping[str, bytes], delivery: Delivery) -> str | None:
        if self._type_of is None:
            return _text(headers, self._type_header)
        try:
            return self._type_of(delivery)
        except BaseException as error:
            refusal = refusal_of(error, "type_of cannot tell the message's type")
        raise refusal


def _reading_own(prefix: str, read_other: Reader) -> Reader:
    """A reader of what dispytch writes, which leaves everything else to another one.

    It knows no more than that one, but where each header stands: most events are of this form,
    and gathering their headers in a dict would cost as much as all the rest of it.
    """
    names = tuple(_written(prefix)[:_ALWAYS_WRITTEN])

    def read(delivery: Delivery) -> Envelope:
        headers = delivery.headers
        if len(headers) != _ALWAYS_WRITTEN:
            return read_other(delivery)
        (n0, content), (n1, id_), (n2, source), (n3, version), (n4, time), (n5, kind) = headers
        if (n0, n1, n2, n3, n4, n5) != names or version != _SPECVERSION or content != _JSON:
            return read_other(delivery)
        if id_ is None or kind is None or source is None or time is None:
            return read_other(delivery)
        try:
            return Envelope(
                id_.decode(),
                kind.decode(),
                source.decode(),
                # As it is written here; a number does not end so.
                time.decode() if time.endswith(b"Z") else _time(time),
                JSON,
                delivery.value,
            )
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from error

    return read


def _binary_reader(
    prefix: str,
) -> Callable[[Mapping[str, bytes], bytes | None, bytes | None], Envelope | None]:
    """A function that reads binary mode; it returns None for what has none of its attributes."""
    _, id_, source, specversion, time, type_, version = _written(prefix)

    def read(
        headers: Mapping[str, bytes], content_type: bytes | None, value: bytes | None
    ) -> Envelope | None:
        if specversion not in headers and type_ not in headers:
            return None
        try:
            if headers[specversion] != _SPECVERSION:
                _check_version(headers[specversion].decode())
            return Envelope(
                headers[id_].decode(),
                headers[type_].decode(),
                headers[source].decode(),
                _time(headers[time]) if time in headers else None,
                JSON if content_type == _JSON else _decoded(content_type),
                value,
                _version(headers[version]) if version in headers else None,
            )
        except KeyError as error:
            raise DecodeError(f"a CloudEvent lacks the attribute {error.args[0]!r}") from error
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from error

    return read


def _written(prefix: str) -> Sequence[str]:
    """The names of the headers that binary mode is written with, in their order.

    It is that of the alphabet, but for the version: the driver of RabbitMQ sorts them so.
    """
    attributes = (CONTENT_TYPE, "id", "source", "specversion", "time", "type", _VERSION)
    return [name if name == CONTENT_TYPE else prefix + name for name in attributes]


def _not_utf8(error: UnicodeDecodeError) -> DecodeError:
    return DecodeError(f"a CloudEvents attribute is not UTF-8: {error}")


def _read_structured(content_type: bytes, value: bytes) -> Envelope:
    if not content_type.startswith(_STRUCTURED):
        raise DecodeError(
            f"CloudEvents as {content_type.decode(errors='replace')!r} cannot be read; "
            f"{_STRUCTURED.decode()!r} can"
        )
    event = _json_object(value)
    _check_version(str(event.get("specversion", "none at all")))
    for name in ("id", "type", "source"):
        if event.get(name) is None:
            raise DecodeError(f"a CloudEvent lacks the attribute {name!r}")
    for name in ("id", "type", "source", "time", "datacontenttype"):
        if not isinstance(event.get(name), str | None):
            raise DecodeError(f"a CloudEvent's {name!r} must be a text, not {event[name]!r}")
    data_type = event.get("datacontenttype") or JSON
    return Envelope(
        id=event["id"],
        type=event["type"],
        source=event["source"],
        time=event.get("time"),
        content_type=data_type,
        data=_structured_data(event, data_type),
        version=_version(event.get(_VERSION)),
    )


def _structured_data(event: Mapping[str, Any], content_type: str) -> bytes:
    encoded = event.get("data_base64")
    if encoded is None:
        data = event.get("data")
        if isinstance(data, str) and not _is_json(content_type):
            return data.encode()
        return pydantic_core.to_json(data, inf_nan_mode="constants")
    try:
        return base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise DecodeError(f"the CloudEvent's data_base64 is not base64: {error}") from error


def _is_json(content_type: str) -> bool:
    bare = content_type.partition(";")[0].strip().lower()
    return bare.endswith(("/json", "+json"))


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        event: Any = pydantic_core.from_json(value)
    except ValueError as error:
        raise DecodeError(f"a structured CloudEvent is not JSON: {error}") from error
    if not isinstance(event, dict):
        raise DecodeError("a structured CloudEvent is not a JSON object")
    return cast("dict[str, Any]", event)


def _check_version(version: str) -> None:
    if not version.startswith("1."):
        raise DecodeError(f"CloudEvents 1.x can be read, this one says {version!r}")


def _version(value: Any) -> int | None:
    """The version of the body, which CloudEvents carries as a number or as text."""
    if value is None or (type(value) is int and value >= 1):
        return value
    try:
        version = int(value)
    except (TypeError, ValueError):
        version = 0
    if version < 1 or isinstance(value, bool | float):
        raise DecodeError(f"the CloudEvent's {_VERSION} must be a number from 1, not {value!r}")
    return version


def _time(value: bytes) -> str:
    if value.removeprefix(b"-").isdigit():
        # AMQP has a timestamp type of its own, which arrives as milliseconds.
        try:
            return datetime.fromtimestamp(int(value) / 1000, UTC).isoformat()
        except (ValueError, OverflowError, OSError) as error:
            raise DecodeError(f"the CloudEvent's time {value!r} is no time: {error}") from error
    return value.decode()


def _decoded(content_type: bytes | None) -> str | None:
    return content_type.decode() if content_type else None


def _text(headers: Mapping[str, bytes], name: str) -> str | None:
    value = headers.get(name)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"the header {name!r} is not UTF-8: {error}") from error
