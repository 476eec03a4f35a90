"""Formats whose bodies follow a schema that both sides know."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from dispytch.serialization.codec import Change, Codec

SchemaKind = Literal["AVRO", "JSON", "PROTOBUF"]


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema as a registry keeps it.

    ``name`` is the full name of the type that it describes; ``references`` are the schemas that
    ``text`` imports, each under the name that it has there.
    """

    kind: SchemaKind
    text: str
    name: str
    references: tuple[tuple[str, "Schema"], ...] = ()

    @property
    def characters(self) -> int:
        """How long its text is, with those of the schemas that it imports."""
        return len(self.text) + sum(one.characters for _, one in self.references)


class SchemaBody(ABC):
    """A format with a schema, made ready for one type of body.

    ``schema`` is what it writes by.
    """

    schema: Schema

    @abstractmethod
    def write(self, body: Any) -> bytes:
        """The body alone, without anything that tells its schema.

        Raises:
            EncodeError: the body holds something that the format cannot express.
        """

    @abstractmethod
    def read(self, data: bytes, written: Any, change: Change | None = None) -> Any:
        """The body that `write` has written, validated.

        ``written`` is what `SchemaCodec.parsed` has made of the schema that it was written by.

        Raises:
            DecodeError, BodyInvalid: as `BodyCodec.decode`.
        """


class SchemaCodec(Codec):
    """A codec that a schema registry can go with, see `dispytch.serialization.RegistryCodec`.

    ``resolves`` says whether a body is read by the schema that it was written by; if not, a
    registry is never asked for that.
    """

    kind: SchemaKind
    resolves: bool = False

    @abstractmethod
    def bind_schema(self, body: Any, adapter: TypeAdapter[Any]) -> SchemaBody:
        """Make it ready for one type of body, for use with a registry.

        Raises:
            ConfigurationError: the format cannot hold such a body; the text says what can be done.
        """

    def parsed(self, schema: Schema) -> Any:
        """A schema that somebody has written by, as `SchemaBody.read` takes it.

        Raises:
            DecodeError: it cannot be understood.
        """
        return schema
