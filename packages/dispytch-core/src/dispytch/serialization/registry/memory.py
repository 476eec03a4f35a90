"""A registry in the memory of this process."""

from dataclasses import replace
from uuid import NAMESPACE_OID, UUID, uuid5

from dispytch.exceptions import DecodeError, SchemaRefused
from dispytch.serialization.registry.registry import SchemaId, SchemaRegistry
from dispytch.serialization.schemas import Schema, SchemaKind


class MemoryRegistry(SchemaRegistry):
    """A registry for tests: it keeps every schema and compares none."""

    def __init__(self) -> None:
        self._schemas: list[Schema] = []
        self.subjects: dict[str, list[int]] = {}

    async def register(self, subject: str, schema: Schema) -> int:
        """The id of a schema; the same schema has the same id under every subject."""
        if schema not in self._schemas:
            self._schemas.append(schema)
        schema_id = self._schemas.index(schema) + 1
        versions = self.subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    async def look_up(self, subject: str, schema: Schema) -> int:
        """The id of a schema that is a version of the subject."""
        for schema_id in self.subjects.get(subject, ()):
            if self._schemas[schema_id - 1] == schema:
                return schema_id
        raise SchemaRefused(f"the schema of {schema.name} is not registered under {subject!r}")

    async def text(self, schema_id: int) -> str:
        """The text of the schema with this id."""
        return self._found(schema_id).text

    async def schema(self, schema_id: SchemaId, kind: SchemaKind) -> Schema:
        """The schema with this id, or this GUID."""
        found = self._found(schema_id)
        if isinstance(schema_id, int):
            # A test's own registry may have something to say here.
            found = replace(found, text=await self.text(schema_id))
        if found.kind != kind:
            raise DecodeError(f"the schema {schema_id} is {found.kind}, and not {kind}")
        return found

    def guid(self, schema_id: int) -> UUID:
        """The GUID of a schema, which follows from what it says."""
        schema = self._schemas[schema_id - 1]
        return uuid5(NAMESPACE_OID, f"{schema.kind}:{schema.text}:{schema.references}")

    def _found(self, schema_id: SchemaId) -> Schema:
        for number, schema in enumerate(self._schemas, 1):
            if schema_id == (number if isinstance(schema_id, int) else self.guid(number)):
                return schema
        raise DecodeError(f"the registry has no schema with the id {schema_id}")
