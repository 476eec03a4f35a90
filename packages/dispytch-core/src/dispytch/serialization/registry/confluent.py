"""Registries that speak the API of Confluent's: that one, Karapace, Apicurio, Redpanda.

Source: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from dispytch.exceptions import (
    ConfigurationError,
    DecodeError,
    RegistryUnavailable,
    SchemaRefused,
    SerializationError,
)
from dispytch.serialization.extras import required
from dispytch.serialization.registry.connection import AnswerTooLarge, Connection
from dispytch.serialization.registry.references import References
from dispytch.serialization.registry.registry import SchemaId, SchemaRegistry
from dispytch.serialization.schemas import Schema, SchemaKind

T = TypeVar("T")

_DEFAULTS: Final = {
    "max.retries": 2,
    "retries.wait.ms": 100,
    "retries.max.wait.ms": 1000,
    # What is kept of its answers is kept elsewhere.
    "cache.capacity": 100,
}
_ANSWER_MAX: Final = 4 * 2**20
_FOR_A_WHILE: Final = (401, 403, 408, 429)
"""Client errors that are about who asks: not let in, or too often."""


class ConfluentRegistry(SchemaRegistry):
    """A registry behind HTTP, with one client, which is connected when a schema is asked for.

    The client is closed when a listener or an emitter ends that uses it, and opened again when a
    schema is asked for after that.

    Needs ``dispytch-core[registry]``.

    url: one, or several with commas; a user and password may stand in it.
    timeout: seconds that one request may take, from the first byte to the last.
    normalize: have the registry bring schemas into its normal form before it compares them.
    answer_max: how many bytes of an answer are read; a longer one counts as none.
    options: further settings of confluent-kafka's `AsyncSchemaRegistryClient`, by its names:
        ``basic.auth.user.info``, ``ssl.ca.location``, ``bearer.auth.…``, ``max.retries``.

    Raises:
        ConfigurationError: confluent-kafka is not installed, or an option makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 5.0,
        normalize: bool = False,
        answer_max: int = _ANSWER_MAX,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._library = required(
            "confluent_kafka.schema_registry", extra="registry", user="ConfluentRegistry"
        )
        settings = {"url": url, "timeout": timeout, **_DEFAULTS, **(options or {})}
        self._normalize = normalize
        self._connection = Connection(self._library, settings, timeout, answer_max)
        # Without the user and the password that may stand in it.
        self._place = re.sub(r"//[^/@]*@", "//", str(url))
        try:
            self._connection.made()
        except Exception as error:
            raise ConfigurationError(f"ConfluentRegistry: {error}") from error

    async def register(self, subject: str, schema: Schema) -> int:
        """The id of a schema, registered together with those that it imports."""

        async def ask(client: Any) -> int:
            given = await self._given(client, schema, register=True)
            return int(await client.register_schema(subject, given, self._normalize))

        return await self._asked(ask, lambda error: self._refusal(error, subject, schema))

    async def look_up(self, subject: str, schema: Schema) -> int:
        """The id of a schema that is registered already, with those that it imports."""

        async def ask(client: Any) -> int:
            given = await self._given(client, schema, register=False)
            found = await client.lookup_schema(subject, given, self._normalize)
            return int(found.schema_id)

        return await self._asked(ask, lambda error: self._refusal(error, subject, schema))

    async def text(self, schema_id: int) -> str:
        """The text of the schema with this id."""

        async def ask(client: Any) -> str:
            return str((await client.get_schema(schema_id)).schema_str)

        return await self._asked(ask, lambda error: self._unknown(error, schema_id))

    async def schema(self, schema_id: SchemaId, kind: SchemaKind) -> Schema:
        """The schema with this id or GUID, and those that it refers to."""

        async def ask(client: Any) -> Schema:
            if isinstance(schema_id, int):
                found = await client.get_schema(schema_id)
            else:
                found = await client.get_schema_by_guid(str(schema_id))
            return await References(client, kind).of(found, f"schema {schema_id}")

        return await self._asked(ask, lambda error: self._unknown(error, schema_id))

    async def close(self) -> None:
        """Close the client, once what was asked is answered."""
        await self._connection.close()

    async def _given(self, client: Any, schema: Schema, *, register: bool) -> Any:
        references: list[Any] = []
        for name, imported in schema.references:
            inner = await self._given(client, imported, register=register)
            if register:
                await client.register_schema(name, inner, self._normalize)
            version = (await client.lookup_schema(name, inner, self._normalize)).version
            references.append(self._library.SchemaReference(name, name, version))
        return self._library.Schema(schema.text, schema.kind, references)

    async def _asked(
        self,
        ask: Callable[[Any], Awaitable[T]],
        refusal: Callable[[Exception], SerializationError | None],
    ) -> T:
        try:
            async with self._connection.client() as client:
                return await ask(client)
        except SerializationError:
            raise
        except Exception as error:
            raise refusal(error) or self._unavailable(error) from error

    def _refusal(self, error: Exception, subject: str, schema: Schema) -> SerializationError | None:
        what = f"the schema of {schema.name} under the subject {subject!r}"
        status, said = self._status(error), getattr(error, "error_message", "")
        if status == 404:
            return SchemaRefused(
                f"the registry at {self._place} does not have {what}: register it, "
                "or use auto_register=True"
            )
        if status == 409:
            return SchemaRefused(
                f"the registry at {self._place} refuses {what}, as it is not compatible with "
                f"a version before it: {said}"
            )
        if status is not None:
            return SchemaRefused(f"the registry at {self._place} refuses {what}: {said}")
        return None

    def _unknown(self, error: Exception, schema_id: SchemaId) -> SerializationError | None:
        status = self._status(error)
        if status == 404:
            return DecodeError(
                f"the registry at {self._place} has no schema with the id {schema_id}"
            )
        if status is not None:
            return DecodeError(
                f"the registry at {self._place} refuses to tell the schema with the id "
                f"{schema_id}: it answers {status}"
            )
        if isinstance(error, AnswerTooLarge):
            return DecodeError(
                f"the registry at {self._place} tells the schema with the id {schema_id} in {error}"
            )
        return None

    def _status(self, error: Exception) -> int | None:
        """What the registry has answered, if that is about what it was asked."""
        status: object = getattr(error, "http_status_code", None)
        if not isinstance(status, int):
            return None
        return status if 400 <= status < 500 and status not in _FOR_A_WHILE else None

    def _unavailable(self, error: Exception) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"the schema registry at {self._place} cannot be asked: "
            f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
        )
