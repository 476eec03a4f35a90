"""A registry in the memory of this process."""

from dispytch.exceptions import DecodeError, SchemaRefused
from dispytch.serialization.registry.registry import SchemaRegistry
from dispytch.serialization.schemas import Schema


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
        if not 0 < schema_id <= len(self._schemas):
            raise DecodeError(f"the registry has no schema with the id {schema_id}")
        return self._schemas[schema_id - 1].text
