"""What a schema registry does."""

from abc import ABC, abstractmethod

from dispytch.serialization.schemas import Schema


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
