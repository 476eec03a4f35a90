"""What is needed of fastavro."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

from dispytch.exceptions import DecodeError
from dispytch.serialization.extras import required
from dispytch.serialization.formats.avro_bounds import Check, check_of
from dispytch.serialization.formats.avro_references import whole
from dispytch.serialization.formats.varints import written_number
from dispytch.serialization.limits import Limits
from dispytch.serialization.schemas import Schema


@dataclass(frozen=True, slots=True, eq=False)
class ParsedSchema:
    """A schema, ready to read and write by.

    check: raises for a body that goes beyond the limits; None if none can.
    is_bytes: its values are bytes and nothing around them.
    """

    parsed: Any
    check: Check | None
    is_bytes: bool


class AvroLibrary:
    """fastavro, with limits on what it reads.

    Raises:
        ConfigurationError: it is not installed.
    """

    def __init__(self, limits: Limits) -> None:
        fastavro = required("fastavro", extra="avro", user="AvroCodec")
        self._schema = required("fastavro.schema", extra="avro", user="AvroCodec")
        self._write: Any = fastavro.schemaless_writer
        self._read: Any = fastavro.schemaless_reader
        self._limits = limits

    def parse(self, schema: Any) -> ParsedSchema:
        """A schema as JSON has it. Raises whatever fastavro does where it makes no sense."""
        return self._ready(self._schema.parse_schema(schema))

    def parse_text(self, schema: Schema) -> ParsedSchema:
        """A schema as text, with those that it refers to. Raises as `parse` does."""
        return self.parse(whole(schema))

    def fingerprint(self, schema: ParsedSchema) -> bytes:
        """The CRC-64-AVRO of the schema's canonical form, as it stands in a message."""
        canonical = self._schema.to_parsing_canonical_form(schema.parsed)
        return bytes.fromhex(self._schema.fingerprint(canonical, "CRC-64-AVRO"))

    def write(self, schema: ParsedSchema, value: Any) -> bytes:
        """A value in bytes. Raises whatever fastavro does at values that do not fit."""
        buffer = BytesIO()
        self._write(buffer, schema.parsed, value, strict_allow_default=True)
        return buffer.getvalue()

    def read(self, data: bytes, written: ParsedSchema, reader: ParsedSchema | None) -> Any:
        """The value that all the bytes stand for.

        Raises:
            DecodeError: it goes beyond the limits, or bytes are left over.
            Exception: the bytes are not of the schema.
        """
        if written.check is not None:
            written.check(data)
        buffer = BytesIO(data)
        value = self._read(buffer, written.parsed, None if reader is None else reader.parsed)
        if buffer.tell() != len(data):
            left = len(data) - buffer.tell()
            raise DecodeError(f"the bytes are not Avro of that schema: {left} are left over")
        return value

    def _ready(self, parsed: Any) -> ParsedSchema:
        kind = cast("dict[str, Any]", parsed).get("type") if isinstance(parsed, dict) else parsed
        return ParsedSchema(parsed, check_of(parsed, self._limits), kind == "bytes")


def with_length(data: bytes) -> bytes:
    """Bytes as Avro has them."""
    return written_number(len(data)) + data


def without_length(data: bytes) -> bytes:
    """Bytes from what Avro has written of them."""
    return data[next(at for at, byte in enumerate(data) if byte < 0x80) + 1 :]
