"""CloudEvents 1.0, and messages that carry no envelope at all.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, with the Kafka and
AMQP protocol bindings beside it and the JSON event format; for the prefix ``ce-``
https://github.com/knative-extensions/eventing-rabbitmq/blob/main/cloudevents-protocol-spec/spec.md
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Final

from dispytch.envelope import Envelope
from dispytch.exceptions import ConfigurationError, DecodeError
from dispytch.messages import CONTENT_TYPE, Delivery, Header, Headers
from dispytch.printable import printable
from dispytch.serialization.cloudevents_attributes import (
    SPECVERSION,
    VERSION,
    envelope_of,
    is_name,
    time_from_number,
)
from dispytch.serialization.cloudevents_json import is_structured, read_structured
from dispytch.serialization.codec import JSON
from dispytch.serialization.refusals import refusal_of
from dispytch.serialization.wire import Reader, WireFormat, Writer

TypeOf = Callable[[Delivery], str | None]
"""Tells the type of a message that has no envelope."""

SCHEMA_ID: Final = "__value_schema_id"
"""The header in which Confluent's serializers may tell the schema of the body."""

_SPECVERSION: Final = b"1.0"
_OTHERS: Final = MappingProxyType({SPECVERSION: "1.0"})
_JSON: Final = JSON.encode()
_ALWAYS_WRITTEN: Final = 6
"""How many headers every event with a type and a time is written with: those before the version."""
_NAMES: Final = 1024
_NAME_MAX: Final = 100
"""How many names of headers are kept in mind, and how long they may be."""

_KINDS: Final = 1024
"""Of how many kinds of events the headers that don't change are remembered."""


class CloudEvents(WireFormat):
    """The default format: CloudEvents in binary mode is written; binary and structured are read.

    The names of attributes and of ``content-type`` may be in any case. A message without attributes
    of CloudEvents is a *plain* one: its whole value is the body, its type is what ``type_of`` says,
    or else what the header named ``type_header`` holds (where AMQP's ``type`` property appears
    too), or else unknown: then only handlers with ``event=None`` take it. Its id is the header
    ``message-id``, or else its place at the broker.

    prefix: what the attributes begin with where they are written, if not with the first of those
        that the backend declares: ``ce-`` on RabbitMQ, for readers that know no other.

    Raises:
        ConfigurationError: the backend has no such prefix; when an emitter is made or a listener
            starts.
    """

    def __init__(
        self,
        *,
        type_header: str = "type",
        type_of: TypeOf | None = None,
        prefix: str | None = None,
    ) -> None:
        self._type_header = type_header
        self._type_of = type_of
        self._prefix = prefix

    def reader(self, prefixes: Sequence[str]) -> Reader:
        """Read structured mode by its content type, binary mode by its headers; else plain."""
        written = self._written_prefix(prefixes)
        meanings = _Meanings(prefixes)

        def read(delivery: Delivery) -> Envelope:
            found = _Found(delivery.headers, meanings)
            content_type = found.content_type
            # A structured message may repeat its attributes among the headers.
            if content_type and content_type != _JSON and is_structured(content_type):
                return read_structured(content_type, delivery.value or b"")
            if SPECVERSION in found.attributes or "type" in found.attributes:
                return _read_binary(found, delivery.value, written)
            return self._read_plain(found, delivery)

        return _reading_own(written, meanings, read)

    def writer(self, prefixes: Sequence[str]) -> Writer:
        """Write binary mode."""
        _, id_, source, specversion, time, type_, version = _written(self._written_prefix(prefixes))

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

    def _written_prefix(self, prefixes: Sequence[str]) -> str:
        if self._prefix is None:
            return prefixes[0]
        if self._prefix not in prefixes:
            there_are = ", ".join(map(repr, prefixes))
            raise ConfigurationError(
                f"CloudEvents(prefix={self._prefix!r}): this backend has no such prefix; "
                f"it has {there_are}"
            )
        return self._prefix

    def _read_plain(self, found: "_Found", delivery: Delivery) -> Envelope:
        headers = found.headers
        place = f"{delivery.lease.stream}/{delivery.position}"
        return Envelope(
            id=_text(headers, "message-id") or place,
            type=self._plain_type(headers, delivery),
            source=None,
            time=None,
            content_type=_text({CONTENT_TYPE: found.content_type}, CONTENT_TYPE) or None,
            data=delivery.value,
            schema_id=headers.get(SCHEMA_ID),
        )

    def _plain_type(self, headers: Mapping[str, bytes], delivery: Delivery) -> str | None:
        if self._type_of is None:
            return _text(headers, self._type_header)
        try:
            return self._type_of(delivery)
        except BaseException as error:
            refusal = refusal_of(error, "type_of cannot tell the message's type")
        raise refusal


class _Meanings(dict[str, "tuple[int, str] | None"]):
    """What the names of headers mean: the place of their prefix, and the attribute; as they come.

    None for those that mean nothing here; those that are no attributes have negative places.
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        super().__init__()
        self._prefixes = [prefix.lower() for prefix in prefixes]

    def __missing__(self, name: str) -> "tuple[int, str] | None":
        meaning = self._meaning(name.lower())
        if len(self) < _NAMES and len(name) < _NAME_MAX:
            self[name] = meaning
        return meaning

    def _meaning(self, name: str) -> "tuple[int, str] | None":
        if name == CONTENT_TYPE:
            return -1, CONTENT_TYPE
        if name == SCHEMA_ID:
            return -2, SCHEMA_ID
        for place, prefix in enumerate(self._prefixes):
            if name.startswith(prefix) and is_name(name[len(prefix) :]):
                return place, name[len(prefix) :]
        return None


class _Found:
    """The headers of a message, and what they say of CloudEvents.

    A null header is one that is missing. Of several with one name the last counts; of several
    prefixes with one attribute, the prefix that the backend declares first.
    """

    __slots__ = ("attributes", "content_type", "headers")

    def __init__(self, headers: Headers, meanings: _Meanings) -> None:
        self.headers: dict[str, bytes] = {}
        self.attributes: dict[str, bytes] = {}
        self.content_type: bytes | None = None
        others: list[tuple[int, str, bytes]] = []
        for name, value in headers:
            if value is None:
                continue
            self.headers[name] = value
            meaning = meanings[name]
            if meaning is None:
                continue
            place, attribute = meaning
            if place == 0:
                self.attributes[attribute] = value
            elif place == -1:
                self.content_type = value
            elif place > 0:
                others.append((-place, attribute, value))
        if others:
            others.sort(key=itemgetter(0))
            self.attributes = {name: value for _, name, value in others} | self.attributes


def _read_binary(found: _Found, value: bytes | None, prefix: str) -> Envelope:
    try:
        attributes = {name: one.decode() for name, one in found.attributes.items()}
        content_type = found.content_type.decode() if found.content_type else None
    except UnicodeDecodeError:
        raise _not_utf8(found, prefix) from None
    time = attributes.get("time")
    if time is not None and time.removeprefix("-").isdecimal():
        # AMQP has a timestamp type of its own, which arrives as milliseconds.
        attributes["time"] = time_from_number(int(time[:20]))
    return envelope_of(
        attributes, content_type, value, prefix=prefix, schema_id=found.headers.get(SCHEMA_ID)
    )


def _not_utf8(found: _Found, prefix: str) -> DecodeError:
    values = {prefix + name: value for name, value in sorted(found.attributes.items())}
    for name, value in (values | {CONTENT_TYPE: found.content_type or b""}).items():
        if value.decode(errors="replace").encode() != value:
            return DecodeError(f"a CloudEvents attribute is not UTF-8: {name!r}")
    return DecodeError("a CloudEvents attribute is not UTF-8")


def _reading_own(prefix: str, meanings: _Meanings, read_other: Reader) -> Reader:
    """A reader of what dispytch writes, which leaves everything else to another one.

    It knows no more than that one, but where each header stands: most events are of this form,
    and gathering their headers in a dict would cost as much as all the rest of it.
    """
    names = tuple(_written(prefix)[:_ALWAYS_WRITTEN])

    def means(header: Header) -> bool:
        return meanings[header[0]] is not None

    def read(delivery: Delivery) -> Envelope:
        headers = delivery.headers
        if len(headers) != _ALWAYS_WRITTEN:
            if len(headers) < _ALWAYS_WRITTEN or any(map(means, headers[_ALWAYS_WRITTEN:])):
                return read_other(delivery)
            headers = headers[:_ALWAYS_WRITTEN]
        (n0, content), (n1, id_), (n2, source), (n3, version), (n4, time), (n5, kind) = headers
        if (n0, n1, n2, n3, n4, n5) != names or version != _SPECVERSION or content != _JSON:
            return read_other(delivery)
        if not id_ or not kind or not source or not time:
            return read_other(delivery)
        try:
            text = time.decode()
            if text[4:8:3] != "--" or text[10:17:3] != "T::":
                return read_other(delivery)
            datetime.fromisoformat(text)
            return Envelope(
                id_.decode(),
                kind.decode(),
                source.decode(),
                text,
                JSON,
                delivery.value,
                None,
                None,
                _OTHERS,
            )
        except ValueError:
            # Who knows more of such events says what is wrong.
            return read_other(delivery)

    return read


def _written(prefix: str) -> Sequence[str]:
    """The names of the headers that binary mode is written with, in their order.

    It is that of the alphabet, but for the version: the driver of RabbitMQ sorts them so.
    """
    attributes = (CONTENT_TYPE, "id", "source", SPECVERSION, "time", "type", VERSION)
    return [name if name == CONTENT_TYPE else prefix + name for name in attributes]


def _text(headers: Mapping[str, bytes | None], name: str) -> str | None:
    value = headers.get(name)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"the header {name!r} is not UTF-8: {printable(error)}") from error
