"""Bodies in Confluent's wire format: what tells the schema, then the body.

Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter

from dispytch.exceptions import ConfigurationError, EncodeError
from dispytch.serialization.codec import BodyCodec, Change, Codec, Unresolved
from dispytch.serialization.registry.asking import Asking, PatientAsking
from dispytch.serialization.registry.heads import read_head, written_head
from dispytch.serialization.registry.kept import Kept
from dispytch.serialization.registry.registry import SchemaId, SchemaRegistry
from dispytch.serialization.registry.subjects import SubjectName, topic_subject
from dispytch.serialization.schemas import Schema, SchemaBody, SchemaCodec
from dispytch.serialization.validation import validated

_SCHEMAS_KEPT: Final = 1_000
_CHARACTERS_KEPT: Final = 32 * 2**20
"""How many schemas of others are kept, and of how many characters in all."""

_HEADS_KEPT: Final = 10_000
"""For how many subjects and schemas of our own ids are kept: one for each topic, maybe."""


class RegistryCodec(Codec):
    """A format whose schemas are kept by a registry, in Confluent's wire format.

    The schema of a body is registered, or looked up, at the first emit to a topic; the schema that
    a body was written by, with those that it refers to, is fetched when an event first has it. The
    registry is not asked again for what it has answered. The id may stand before the body or in the
    header ``__value_schema_id``, as a number or as a GUID.

    While the registry cannot be asked, an emit that needs it raises `RegistryUnavailable`, and an
    event that needs it stays unsettled until it can; other events go on. What the registry does not
    have makes an event undecodable.

    It also reads the content types of ``codec``, and so what foreign producers have labelled so.

    codec: `AvroCodec`, `ProtobufCodec` or `JsonCodec`.
    subject: what a schema is registered under: `topic_subject`, `record_subject`,
        `topic_record_subject`, or a function of the topic and the schema.
    auto_register: when False, schemas are looked up only, and one that is missing is refused.

    Raises:
        ConfigurationError: an argument that makes no sense.
    """

    def __init__(
        self,
        codec: SchemaCodec,
        registry: SchemaRegistry,
        *,
        subject: SubjectName = topic_subject,
        auto_register: bool = True,
    ) -> None:
        if not isinstance(codec, SchemaCodec):
            raise ConfigurationError(
                f"RegistryCodec takes AvroCodec, ProtobufCodec or JsonCodec, not {codec!r}"
            )
        if not isinstance(registry, SchemaRegistry):
            raise ConfigurationError(
                f"RegistryCodec takes a SchemaRegistry, as ConfluentRegistry(url), not {registry!r}"
            )
        self.codec: Final = codec
        self.content_type = f"application/vnd.confluent.{codec.kind.lower()}"
        self.reads: tuple[str, ...] = (codec.content_type, *codec.reads)
        self.heads: Final[Kept[bytes]] = Kept(_HEADS_KEPT)
        self.written: Final[Kept[Any]] = Kept(_SCHEMAS_KEPT, most_bytes=_CHARACTERS_KEPT)
        self._registry = registry
        self._subject = subject
        self._auto_register = auto_register
        self._writing = Asking()
        self._reading = PatientAsking()

    def bind(self, body: Any, adapter: TypeAdapter[Any]) -> BodyCodec:
        """Bind the format to the type of body; nothing is asked yet."""
        return _RegistryBody(self, self.codec.bind_schema(body, adapter), adapter)

    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        """Not to be had: a schema belongs to a topic.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("RegistryCodec needs the topic of the body: bind it first")

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        """As `bind` does, for any type of body."""
        return self.bind(Any, adapter).decode(data)

    def key(self, topic: str, schema: Schema) -> tuple[str, Schema]:
        """What a schema is known by at the registry.

        Raises:
            EncodeError: the subject is no name.
        """
        subject: object = self._subject(topic, schema)
        if not isinstance(subject, str) or not subject:
            raise EncodeError(
                f"the schema of {schema.name} on topic {topic!r} needs a subject, not {subject!r}"
            )
        return subject, schema

    async def learn_id(self, key: tuple[str, Schema]) -> None:
        """Register a schema, or look it up, and keep its id."""
        await self._writing.ask(key, partial(self._learn_id, key))

    async def learn_schema(self, schema_id: SchemaId) -> None:
        """Fetch the schema that a body was written by, and keep it."""
        await self._reading.ask(schema_id, partial(self._learn_schema, schema_id))

    async def close(self) -> None:
        """Let go of the registry's connections; see `SchemaRegistry.close`."""
        await self._registry.close()

    async def _learn_id(self, key: tuple[str, Schema]) -> None:
        ask = self._registry.register if self._auto_register else self._registry.look_up
        self.heads.keep(key, written_head(await ask(*key)))

    async def _learn_schema(self, schema_id: SchemaId) -> None:
        schema = await self._registry.schema(schema_id, self.codec.kind)
        self.written.keep(schema_id, self.codec.parsed(schema), schema.characters)


class _RegistryBody(BodyCodec):
    def __init__(self, codec: RegistryCodec, body: SchemaBody, adapter: TypeAdapter[Any]) -> None:
        self._codec = codec
        self._body = body
        self._adapter = adapter

    def for_topic(self, topic: str) -> BodyCodec:
        return _TopicBody(self, self._codec, self._body, topic)

    def encode(self, body: Any) -> bytes:
        return self.for_topic("").encode(body)

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        if not data:
            return validated(self._adapter, None if change is None else change(None))
        return self.decode_by(b"", data, change)

    def decode_by(self, schema_id: bytes, data: bytes, change: Change | None = None) -> Any:
        framed = schema_id + data
        of_schema, start = read_head(framed)
        written = None
        if self._codec.codec.resolves:
            written = self._codec.written.get(of_schema)
            if written is None:
                raise Unresolved(partial(self._codec.learn_schema, of_schema), of_schema)
        return self._body.read(framed[start:], written, change)


class _TopicBody(BodyCodec):
    def __init__(
        self, of: _RegistryBody, codec: RegistryCodec, body: SchemaBody, topic: str
    ) -> None:
        self._of = of
        self._codec = codec
        self._body = body
        self._key = codec.key(topic, body.schema)
        self._head = codec.heads.get(self._key)

    def encode(self, body: Any) -> bytes:
        head = self._head
        if head is None:
            head = self._head = self._codec.heads.get(self._key)
            if head is None:
                raise Unresolved(partial(self._codec.learn_id, self._key), self._key)
        return head + self._body.write(body)

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        return self._of.decode(data, change)
