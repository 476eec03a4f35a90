"""The schemas that one refers to, as a registry tells them."""

from typing import Any, Final

from dispytch.exceptions import DecodeError
from dispytch.serialization.schemas import Schema, SchemaKind

_SCHEMAS_MAX: Final = 500
"""How many schemas one may refer to, however far away."""

_TEXT_MAX: Final = 16 * 2**20
"""Of how many characters they may be in all."""


class References:
    """Fetches what a schema refers to, and what that does, each of them once.

    client: confluent-kafka's, or one like it. kind: what they have to be.
    """

    def __init__(self, client: Any, kind: SchemaKind) -> None:
        self._client = client
        self._kind: SchemaKind = kind
        self._known: dict[tuple[str, int], Schema] = {}
        self._asked: set[tuple[str, int]] = set()
        self._characters = 0

    async def of(self, found: Any, name: str) -> Schema:
        """A schema as the registry has told it, with those that it refers to.

        Raises:
            DecodeError: it is of another kind, refers to itself, or to more than can be read.
            Exception: whatever the client raises.
        """
        kind = found.schema_type or "AVRO"
        if kind != self._kind:
            raise DecodeError(f"{name} is {kind}, and not {self._kind}")
        text = found.schema_str
        if not isinstance(text, str):
            raise TypeError(f"{name} has no text")
        self._characters += len(text)
        if self._characters > _TEXT_MAX:
            raise DecodeError(
                f"{name} and what it belongs to are longer than {_TEXT_MAX} characters"
            )
        references = [
            (str(one.name), await self._referred(str(one.subject), int(one.version)))
            for one in found.references or ()
        ]
        return Schema(self._kind, text, name, tuple(references))

    async def _referred(self, subject: str, version: int) -> Schema:
        place = (subject, version)
        if place in self._known:
            return self._known[place]
        name = f"version {version} of {subject!r}"
        if place in self._asked:
            raise DecodeError(f"{name} refers to itself")
        if len(self._asked) == _SCHEMAS_MAX:
            raise DecodeError(f"a schema refers to more than {_SCHEMAS_MAX} others")
        self._asked.add(place)
        # What was deleted counts as well: there are events that were written by it.
        found = await self._client.get_version(subject, version, True)
        schema = self._known[place] = await self.of(found.schema, name)
        return schema
