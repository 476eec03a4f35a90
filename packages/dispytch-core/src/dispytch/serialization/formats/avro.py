"""Avro.

Source: https://avro.apache.org/docs/1.12.0/specification/
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from dispytch.exceptions import ConfigurationError, DecodeError, EncodeError
from dispytch.printable import printable
from dispytch.serialization.codec import BodyCodec, Change
from dispytch.serialization.formats.avro_library import (
    AvroLibrary,
    ParsedSchema,
    with_length,
    without_length,
)
from dispytch.serialization.formats.avro_schema import AvroSchema, derived, kind_of
from dispytch.serialization.formats.avro_values import shape_of
from dispytch.serialization.limits import AVRO_LIMITS, Limits
from dispytch.serialization.refusals import refusal_of
from dispytch.serialization.schemas import Schema, SchemaBody, SchemaCodec, SchemaKind
from dispytch.serialization.validation import validated

_MARK: Final = b"\xc3\x01"
_HEAD: Final = len(_MARK) + 8

_UNWRITABLE: Final = (
    PydanticSerializationError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What fastavro raises at values that do not fit."""


class AvroCodec(SchemaCodec):
    """Avro. The schema of a body is derived from its type, unless one is given.

    Alone, it writes Avro's single-object encoding: the body after the fingerprint of its schema. It
    reads what was written by a schema that it knows, and refuses the rest. In a `RegistryCodec`,
    the registry has the schemas.

    A body is read as it was written, and pydantic makes of it what its type says. With a schema
    given for the type, Avro's own resolution comes before: aliases, promotions, defaults.

    Needs ``dispytch-core[avro]``.

    schemas: by type of body, each as JSON has it.
    knows: further schemas that events may have been written by, or types to derive them from.
    namespace: of the records and enums in schemas that are derived.
    single_object: when False, it writes and reads the body alone, with nothing to tell the schema
        by: whoever reads must have the very schema that was written by.
    limits: what a body may hold that its bytes do not show.

    Raises:
        ConfigurationError: fastavro is not installed, or a schema cannot be understood or derived.
    """

    content_type = "application/avro"
    reads: tuple[str, ...] = ("avro/binary", "application/vnd.apache.avro")
    kind: SchemaKind = "AVRO"
    resolves = True

    def __init__(
        self,
        schemas: Mapping[Any, AvroSchema] | None = None,
        *,
        knows: Iterable[Any] = (),
        namespace: str | None = None,
        single_object: bool = True,
        limits: Limits = AVRO_LIMITS,
    ) -> None:
        self.avro: Final = AvroLibrary(limits)
        self._namespace = namespace
        self._single_object = single_object
        self._given = list((schemas or {}).items())
        given = (self._understood(schema) for _, schema in self._given)
        self._known = {
            self.avro.fingerprint(one): one for one in (*given, *map(self._schema_of, knows))
        }

    def bind(self, body: Any, adapter: TypeAdapter[Any]) -> BodyCodec:
        """Derive the schema, if none is given."""
        bound = self.bind_schema(body, adapter)
        return _SingleObject(bound, self._known) if self._single_object else _Alone(bound)

    def bind_schema(self, body: Any, adapter: TypeAdapter[Any]) -> "AvroBody":
        """Derive the schema, if none is given. A body of any type can be read, and not written."""
        given = self._given_for(body)
        if given is not None:
            parsed = self._understood(given)
            return AvroBody(self.avro, adapter, _schema(given, parsed), parsed, parsed)
        if body in (Any, object):
            return AvroBody(self.avro, adapter, None, None, None)
        schema = derived(body, adapter, self._namespace)
        parsed = self._understood(schema)
        return AvroBody(self.avro, adapter, _schema(schema, parsed), parsed, None)

    def parsed(self, schema: Schema) -> Any:
        """A schema that somebody has written by."""
        try:
            return self.avro.parse_text(schema)
        except Exception as error:
            raise DecodeError(
                f"the writer's Avro schema cannot be understood: {printable(error)}"
            ) from error

    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        """As `bind` does, with a schema that is derived anew each time."""
        return self.bind(type(body), adapter).encode(body)

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        """As `bind` does, with a schema that is derived anew each time."""
        return self.bind(None, adapter).decode(data)

    def _schema_of(self, known: Any) -> ParsedSchema:
        if isinstance(known, str | dict | list):
            return self._understood(cast(AvroSchema, known))
        given = self._given_for(known)
        if given is None:
            given = derived(known, TypeAdapter(known), self._namespace)
        return self._understood(given)

    def _given_for(self, body: Any) -> AvroSchema | None:
        # Not every type can be hashed, such as a union with a discriminator.
        return next((schema for kind, schema in self._given if kind is body or kind == body), None)

    def _understood(self, schema: AvroSchema) -> ParsedSchema:
        try:
            return self.avro.parse(schema)
        except Exception as error:
            raise ConfigurationError(
                f"the Avro schema {json.dumps(schema, default=str)[:200]} cannot be understood: "
                f"{type(error).__name__}: {error}"
            ) from error


class AvroBody(SchemaBody):
    """Avro for one type of body.

    own: what is written by; None for any type, which cannot be written.
    reader: what is read by, as Avro resolves it; None to read as it was written.
    """

    def __init__(
        self,
        avro: AvroLibrary,
        adapter: TypeAdapter[Any],
        schema: Schema | None,
        own: ParsedSchema | None,
        reader: ParsedSchema | None,
    ) -> None:
        self.avro = avro
        if schema is not None:
            self.schema = schema
        self.own = own
        self._adapter = adapter
        self._reader = reader
        self._prepare = None if own is None else shape_of(own.parsed).prepare

    def write(self, body: Any) -> bytes:
        """The body as Confluent's serializers write it: bytes alone have no length before them."""
        data = self.write_alone(body)
        return without_length(data) if self.own is not None and self.own.is_bytes else data

    def write_alone(self, body: Any) -> bytes:
        """The body as Avro has it."""
        if self.own is None:
            raise EncodeError(f"Avro needs a schema, and {type(body).__qualname__} has none here")
        try:
            value = self._adapter.dump_python(body, by_alias=True)
            prepared = value if self._prepare is None else self._prepare(value)
            return self.avro.write(self.own, prepared)
        except _UNWRITABLE as error:
            raise EncodeError(
                f"{type(body).__qualname__} cannot be written as Avro: {error}"
            ) from error

    def read(self, data: bytes, written: Any, change: Change | None = None) -> Any:
        """Read what `write` has written, or a serializer of Confluent's."""
        schema: ParsedSchema = written
        return self.read_alone(with_length(data) if schema.is_bytes else data, schema, change)

    def read_alone(self, data: bytes, written: ParsedSchema, change: Change | None = None) -> Any:
        """Read, then validate as pydantic validates Python values."""
        try:
            plain = self.avro.read(data, written, self._reader if change is None else None)
        except Exception as error:
            refusal = refusal_of(error, "the bytes are not Avro of that schema")
        else:
            return validated(self._adapter, plain if change is None else change(plain))
        raise refusal

    def null(self, change: Change | None) -> Any:
        """The body that no bytes at all stand for, as in a tombstone."""
        return validated(self._adapter, None if change is None else change(None))


class _SingleObject(BodyCodec):
    def __init__(self, body: AvroBody, known: Mapping[bytes, ParsedSchema]) -> None:
        self._body = body
        self._known = dict(known)
        self._head = _MARK
        if body.own is not None:
            fingerprint = body.avro.fingerprint(body.own)
            self._known[fingerprint] = body.own
            self._head = _MARK + fingerprint

    def encode(self, body: Any) -> bytes:
        return self._head + self._body.write_alone(body)

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        if not data:
            return self._body.null(change)
        if data[:2] != _MARK or len(data) < _HEAD:
            raise DecodeError(
                "the bytes are not Avro's single-object encoding; for bodies alone there is "
                "AvroCodec(single_object=False), for those of a schema registry a RegistryCodec"
            )
        written = self._known.get(data[2:_HEAD])
        if written is None:
            raise DecodeError(
                f"the body was written by an Avro schema with the fingerprint {data[2:_HEAD].hex()}"
                ", which is not known here: name it, or the type that it is derived from, in "
                "AvroCodec(knows=[...])"
            )
        return self._body.read_alone(data[_HEAD:], written, change)


class _Alone(BodyCodec):
    def __init__(self, body: AvroBody) -> None:
        if body.own is None:
            raise ConfigurationError(
                "Avro without single-object encoding can be read by a schema only: give the body "
                "a type"
            )
        self._body = body
        self._own = body.own

    def encode(self, body: Any) -> bytes:
        return self._body.write_alone(body)

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        return self._body.read_alone(data, self._own, change)


def _schema(schema: AvroSchema, ready: ParsedSchema) -> Schema:
    parsed = ready.parsed
    name = cast("dict[str, Any]", parsed).get("name") if isinstance(parsed, dict) else None
    return Schema("AVRO", json.dumps(schema), str(name or kind_of(schema)))
