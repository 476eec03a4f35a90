"""Protocol Buffers.

Source: https://protobuf.dev/programming-guides/encoding/, and for bodies with a schema registry
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html
"""

import base64
from collections.abc import Mapping
from typing import Any, Final, TypeGuard, cast

from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import PydanticSerializationError

from dispytch.exceptions import ConfigurationError, EncodeError
from dispytch.serialization.codec import BodyCodec, Change
from dispytch.serialization.extras import required
from dispytch.serialization.formats.protobuf_values import Fields, Room
from dispytch.serialization.formats.varints import read_indexes, written_indexes
from dispytch.serialization.limits import DEFAULT_LIMITS, Limits
from dispytch.serialization.refusals import refusal_of
from dispytch.serialization.schemas import Schema, SchemaBody, SchemaCodec, SchemaKind
from dispytch.serialization.validation import validated

_BUILT_IN: Final = "google/protobuf/"


class ProtobufCodec(SchemaCodec):
    """Protocol Buffers, with the message classes that protoc generates.

    A type of bodies is written as the message class that it is given here, field by field, by the
    field's name or its name in JSON: a datetime is a Timestamp, a timedelta a Duration, an enum's
    member the value of its name. An optional field that is None is not set, and one that is not
    set is left to the default of the body's type.

    A handler may take a message itself: ``Event[UserRegistered]``, with the generated class.

    Needs ``dispytch-core[protobuf]``.

    messages: the message class for each type of body.
    limits: what a body may hold that its bytes do not show. How deep messages lie within each
        other is protobuf's own to limit: 100.

    Raises:
        ConfigurationError: protobuf is not installed, or a class is none that protoc generates.
    """

    content_type = "application/protobuf"
    reads: tuple[str, ...] = ("application/x-protobuf", "application/vnd.google.protobuf")
    kind: SchemaKind = "PROTOBUF"

    def __init__(
        self, messages: Mapping[Any, Any] | None = None, *, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._limits = limits
        self._json_format = required("google.protobuf.json_format", extra="protobuf", user=_NAME)
        self._messages = list((messages or {}).items())
        for body, message in self._messages:
            if not is_message_class(message):
                raise ConfigurationError(
                    f"{_NAME}: {body!r} needs a class that protoc generates, not {message!r}"
                )

    def bind(self, body: Any, adapter: TypeAdapter[Any]) -> BodyCodec:
        """Find the message class."""
        return _Alone(self.bind_schema(body, adapter))

    def bind_schema(self, body: Any, adapter: TypeAdapter[Any]) -> "ProtobufBody":
        """Find the message class."""
        if is_message_class(body):
            return ProtobufBody(body, adapter, None, self._limits)
        message = next((one for kind, one in self._messages if kind is body or kind == body), None)
        if message is None:
            name = getattr(body, "__qualname__", None) or repr(body)
            raise ConfigurationError(
                f"{_NAME} has no message class for {name}: give it one, as in "
                f"{_NAME}({{{name}: {name}Message}}), with the class that protoc has generated"
            )
        fields = Fields(message, self._json_format, _names(adapter))
        return ProtobufBody(message, adapter, fields, self._limits)

    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        """As `bind` does for the type of this body."""
        return self.bind(type(body), adapter).encode(body)

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        """Not to be had: bytes do not say which message they are. Use `bind`.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(f"{_NAME} needs the type of the body: bind it first")


_NAME: Final = "ProtobufCodec"


class ProtobufBody(SchemaBody):
    """Protobuf for one type of body.

    fields: None when the body is the message itself.
    """

    def __init__(
        self, message: Any, adapter: TypeAdapter[Any], fields: Fields | None, limits: Limits
    ) -> None:
        self._message = message
        self._limits = limits
        self._adapter = adapter
        self._fields = fields
        descriptor = message.DESCRIPTOR
        self.schema: Schema = Schema(
            "PROTOBUF", _text(descriptor.file), descriptor.full_name, _imports(descriptor.file)
        )
        self._indexes = written_indexes(_path(descriptor))

    def write(self, body: Any) -> bytes:
        """The body after the place of its message in the schema."""
        return self._indexes + self.write_alone(body)

    def write_alone(self, body: Any) -> bytes:
        """The message."""
        try:
            data: bytes = self._made(body).SerializeToString(deterministic=True)
        except (PydanticSerializationError, TypeError, ValueError, AttributeError) as error:
            raise EncodeError(
                f"{type(body).__qualname__} cannot be written as Protobuf: {error}"
            ) from error
        return data

    def read(self, data: bytes, written: Any, change: Change | None = None) -> Any:
        """Read the message after its place in the schema."""
        return self.read_alone(data[read_indexes(data) :], change)

    def read_alone(self, data: bytes, change: Change | None = None) -> Any:
        """Read the message, then validate as pydantic validates Python values."""
        message = self._message()
        try:
            message.ParseFromString(data)
            plain = message if self._fields is None else self._plain(self._fields, message)
        except Exception as error:
            refusal = refusal_of(error, f"the bytes are no {message.DESCRIPTOR.full_name}")
        else:
            return validated(self._adapter, plain if change is None else change(plain))
        raise refusal

    def _plain(self, fields: Fields, message: Any) -> dict[str, Any]:
        return fields.values(message, Room(self._limits))

    def _made(self, body: Any) -> Any:
        if self._fields is None:
            return body
        values: Any = self._adapter.dump_python(body, by_alias=True)
        if not isinstance(values, dict):
            raise TypeError("it has no fields")
        return self._fields.message(cast("dict[str, Any]", values))


class _Alone(BodyCodec):
    def __init__(self, body: ProtobufBody) -> None:
        self._body = body

    def encode(self, body: Any) -> bytes:
        return self._body.write_alone(body)

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        return self._body.read_alone(data, change)


def is_message_class(body: Any) -> TypeGuard[type[Any]]:
    """Whether a type is a message class that protoc has generated."""
    return isinstance(body, type) and all(
        hasattr(body, name) for name in ("DESCRIPTOR", "ParseFromString", "SerializeToString")
    )


def _names(adapter: TypeAdapter[Any]) -> frozenset[str]:
    """The names that a type of bodies, and what is within, has for its fields."""
    try:
        document = adapter.json_schema()
    except PydanticUserError:
        return frozenset()
    nodes: list[Any] = [document, *document.get("$defs", {}).values()]
    return frozenset(name for node in nodes for name in node.get("properties", ()))


def _text(file: Any) -> str:
    # A registry takes a descriptor in base64 for the text of the .proto file.
    return base64.b64encode(file.serialized_pb).decode()


def _imports(file: Any) -> tuple[tuple[str, Schema], ...]:
    return tuple(
        (one.name, Schema("PROTOBUF", _text(one), one.name, _imports(one)))
        for one in file.dependencies
        if not one.name.startswith(_BUILT_IN)
    )


def _path(descriptor: Any) -> list[int]:
    """Where a message stands in its file: its index, within those around it."""
    around = descriptor.containing_type
    if around is None:
        return [list(descriptor.file.message_types_by_name).index(descriptor.name)]
    return [*_path(around), [one.name for one in around.nested_types].index(descriptor.name)]
