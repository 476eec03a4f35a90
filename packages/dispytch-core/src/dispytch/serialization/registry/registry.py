"""What a schema registry does."""

from abc import ABC, abstractmethod
from uuid import UUID

from dispytch.exceptions import DecodeError
from dispytch.serialization.schemas import Schema, SchemaKind

SchemaId = int | UUID
"""What a body names its schema by: the registry's number for it, or a GUID."""


class SchemaRegistry(ABC):
    """Keeps schemas, each under a number of its own, and compares the versions of a subject.

    It is asked for each schema once; whoever asks keeps the answer.
    """

    @abstractmethod
    async def register(self, subject: str, schema: Schema) -> int:
        """The id of a schema, which is a version of the subject from now on, if it was none before.

        Raises:
            SchemaRefused: it is not compatible with the versions before it, or invalid.
            RegistryUnavailable: the registry does not answer, or lets nobody in.
        """

    @abstractmethod
    async def look_up(self, subject: str, schema: Schema) -> int:
        """The id of a schema that is a version of the subject already.

        Raises:
            SchemaRefused: it is none.
            RegistryUnavailable: the registry does not answer, or lets nobody in.
        """

    @abstractmethod
    async def text(self, schema_id: int) -> str:
        """The text of the schema with this id.

        Raises:
            DecodeError: there is none.
            RegistryUnavailable: the registry does not answer, or lets nobody in.
        """

    async def schema(self, schema_id: SchemaId, kind: SchemaKind) -> Schema:
        """The schema that a body was written by, with those that it refers to.

        A registry that keeps references, kinds or GUIDs overrides this; without that, `text` is
        all there is.

        kind: what the body is to be read as.

        Raises:
            DecodeError: there is none, or it is of another kind.
            RegistryUnavailable: the registry does not answer, or lets nobody in.
        """
        if not isinstance(schema_id, int):
            raise DecodeError(f"{type(self).__name__} knows no schemas by GUID, as {schema_id}")
        return Schema(kind, await self.text(schema_id), f"schema {schema_id}")

    async def close(self) -> None:  # noqa: B027
        """Let go of connections; a question that comes later opens them again."""
