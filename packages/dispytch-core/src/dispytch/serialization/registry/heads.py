"""What stands before a body in Confluent's wire format, or in a header beside it.

A zero and four bytes with the id of the schema, or a one and the sixteen bytes of its GUID.

Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from typing import Final
from uuid import UUID

from dispytch.exceptions import DecodeError
from dispytch.serialization.registry.registry import SchemaId

_ID_END: Final = 5
_GUID_END: Final = 17


def written_head(schema_id: int) -> bytes:
    """What stands before a body that is written by this schema."""
    return b"\0" + schema_id.to_bytes(4, "big")


def read_head(data: bytes) -> tuple[SchemaId, int]:
    """The id of the schema, and where the body begins.

    Raises:
        DecodeError: they do not begin with one.
    """
    if data[:1] == b"\0" and len(data) >= _ID_END:
        return int.from_bytes(data[1:_ID_END], "big"), _ID_END
    if data[:1] == b"\1" and len(data) >= _GUID_END:
        return UUID(bytes=data[1:_GUID_END]), _GUID_END
    raise DecodeError(
        "the body does not begin with a zero and the id of a schema, as Confluent's wire "
        "format has it"
    )
