"""JSON."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any

import pydantic_core
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from dispytch.exceptions import (
    BodyInvalid,
    ConfigurationError,
    DecodeError,
    EncodeError,
    SerializationError,
)
from dispytch.failing import kind_and_place
from dispytch.printable import printable
from dispytch.serialization.codec import JSON, BodyCodec, BoundCodec, Change, Codec
from dispytch.serialization.schemas import Schema, SchemaBody, SchemaCodec, SchemaKind
from dispytch.serialization.validation import invalid


class JsonCodec(SchemaCodec):
    """JSON, as pydantic writes and reads it: validated straight from the bytes."""

    content_type = JSON
    reads: tuple[str, ...] = ("text/json",)
    kind: SchemaKind = "JSON"

    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        """Write with the field's aliases, as pydantic's own JSON mode does."""
        try:
            return adapter.serializer.to_json(body, by_alias=True)
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            raise EncodeError(
                f"{type(body).__qualname__} cannot be written as JSON: {error}"
            ) from error

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        """Read and validate in one step.

        No bytes at all read as null: a CloudEvent without data, a tombstone of a compacted topic.
        """
        # The validator itself: an adapter's method of that name costs half as much again.
        validate = adapter.validator.validate_json
        try:
            return validate(data or b"null")
        except Exception as error:
            refusal = _refusal(error)
        return _without_mark(validate, data, refusal)

    def bind(self, body: Any, adapter: TypeAdapter[Any]) -> BodyCodec:
        """See `Codec.bind`; what a subclass makes of `decode` counts."""
        bound = _BoundJson if type(self).decode is JsonCodec.decode else BoundCodec
        return bound(self, adapter)

    def bind_schema(self, body: Any, adapter: TypeAdapter[Any]) -> SchemaBody:
        """Derive the JSON Schema."""
        return _JsonBody(self.bind(body, adapter), _schema(body, adapter))

    def validate(self, adapter: TypeAdapter[Any], plain: Any) -> Any:
        """Validate as JSON: a strict model takes a date as text from JSON, from Python it does not.

        Raises:
            BodyInvalid: the body's type refuses it, or JSON cannot hold it.
        """
        try:
            data = pydantic_core.to_json(plain, inf_nan_mode="constants")
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            refusal = BodyInvalid(
                f"the changed body cannot be written as JSON: {kind_and_place(error)}"
            )
            raise refusal from None
        return self.decode(adapter, data)


class _BoundJson(BoundCodec):
    """Decodes as the codec does, without asking it: this is done for every event."""

    __slots__ = ("_validate",)

    def __init__(self, codec: Codec, adapter: TypeAdapter[Any]) -> None:
        super().__init__(codec, adapter)
        self._validate = adapter.validator.validate_json

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        if change is not None:
            return super().decode(data, change)
        try:
            return self._validate(data or b"null")
        except Exception as error:
            refusal = _refusal(error)
        return _without_mark(self._validate, data, refusal)


class _JsonBody(SchemaBody):
    def __init__(self, body: BodyCodec, schema: Schema) -> None:
        self._body = body
        self.schema = schema

    def write(self, body: Any) -> bytes:
        return self._body.encode(body)

    def read(self, data: bytes, written: Any, change: Change | None = None) -> Any:
        return self._body.decode(data, change)


def _schema(body: Any, adapter: TypeAdapter[Any]) -> Schema:
    try:
        schema = adapter.json_schema(mode="serialization")
    except PydanticUserError as error:
        raise ConfigurationError(f"no JSON Schema can be made of {body!r}: {error}") from error
    name = str(schema.get("title") or getattr(body, "__qualname__", body))
    return Schema("JSON", json.dumps(schema), name)


def _without_mark(validate: Callable[[bytes], Any], data: bytes, refusal: Exception) -> Any:
    """What was refused, without the byte order mark that some write before JSON.

    Raises:
        SerializationError: the refusal, where there is none; or that of the rest.
    """
    if not data.startswith(BOM_UTF8):
        raise refusal
    try:
        return validate(data[len(BOM_UTF8) :] or b"null")
    except Exception as error:
        refusal = _refusal(error)
    raise refusal


def _refusal(error: Exception) -> SerializationError:
    """What a body's error means to those who sent it."""
    if isinstance(error, ValidationError) and error.error_count() == 1:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        # A string in the body that should hold JSON is refused with the same type of error.
        if first["type"] == "json_invalid" and not first["loc"]:
            return DecodeError(f"the bytes are not JSON: {printable(first['msg'])}")
    return invalid(error)
