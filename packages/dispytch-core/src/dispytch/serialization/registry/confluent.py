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
)
from dispytch.serialization.extras import required
from dispytch.serialization.registry.registry import SchemaRegistry
from dispytch.serialization.schemas import Schema

T = TypeVar("T")

_DEFAULTS: Final = {"max.retries": 2, "retries.wait.ms": 100, "retries.max.wait.ms": 1000}


class ConfluentRegistry(SchemaRegistry):
    """A registry behind HTTP. It is connected to when a schema is asked for, and not in between.

    Needs ``dispytch-core[registry]``.

    url: one, or several with commas; a user and password may stand in it.
    timeout: seconds that one request may take.
    normalize: have the registry bring schemas into its normal form before it compares them.
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
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._library = required(
            "confluent_kafka.schema_registry", extra="registry", user="ConfluentRegistry"
        )
        self._settings = {"url": url, "timeout": timeout, **_DEFAULTS, **(options or {})}
        self._normalize = normalize
        # Without the user and the password that may stand in it.
        self._place = re.sub(r"//[^/@]*@", "//", str(url))
        try:
            self._client()
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
        self, ask: Callable[[Any], Awaitable[T]], refusal: Callable[[Any], Exception | None]
    ) -> T:
        try:
            async with self._client() as client:
                return await ask(client)
        except self._library.SchemaRegistryError as error:
            raise refusal(error) or self._unavailable(error) from error
        except Exception as error:
            raise self._unavailable(error) from error

    def _client(self) -> Any:
        return self._library.AsyncSchemaRegistryClient(self._settings)

    def _refusal(self, error: Any, subject: str, schema: Schema) -> Exception | None:
        what = f"the schema of {schema.name} under the subject {subject!r}"
        match error.http_status_code:
            case 404:
                return SchemaRefused(
                    f"the registry at {self._place} does not have {what}: register it, "
                    "or use auto_register=True"
                )
            case 409:
                return SchemaRefused(
                    f"the registry at {self._place} refuses {what}, as it is not compatible with "
                    f"a version before it: {error.error_message}"
                )
            case 422:
                return SchemaRefused(
                    f"the registry at {self._place} refuses {what}: {error.error_message}"
                )
            case _:
                return None

    def _unknown(self, error: Any, schema_id: int) -> Exception | None:
        if error.http_status_code != 404:
            return None
        return DecodeError(f"the registry at {self._place} has no schema with the id {schema_id}")

    def _unavailable(self, error: Exception) -> Exception:
        return RegistryUnavailable(
            f"the schema registry at {self._place} cannot be asked: "
            f"{type(error).__name__}: {error}".rstrip(": ")
        )
