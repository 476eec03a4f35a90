"""Bodies in Confluent's wire format: a zero, four bytes with the id of the schema, the body.

Source: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter

from dispytch.exceptions import ConfigurationError, DecodeError, EncodeError
from dispytch.serialization.codec import BodyCodec, Change, Codec, Unresolved
from dispytch.serialization.registry.asking import Asking
from dispytch.serialization.registry.registry import SchemaRegistry
from dispytch.serialization.registry.subjects import SubjectName, topic_subject
from dispytch.serialization.schemas import Schema, SchemaBody, SchemaCodec
from dispytch.serialization.validation import validated

_MAGIC: Final = 0
_HEAD: Final = 5


class RegistryCodec(Codec):
    """A format whose schemas are kept by a registry, in Confluent's wire format.

    The schema of a body is registered, or looked up, at the first emit to a topic; the schema that
    a body was written by is fetched when an event first has it. Both are kept for good: the
    registry is not asked again.

    While the registry cannot be asked, an emit that needs it raises `RegistryUnavailable`, and an
    event that needs it stays unsettled until it can.

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
        self.heads: Final[dict[tuple[str, Schema], bytes]] = {}
        self.written: Final[dict[int, Any]] = {}
        self._registry = registry
        self._subject = subject
        self._auto_register = auto_register
        self._writing = Asking(patient=False)
        self._reading = Asking(patient=True)

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

    async def learn_schema(self, schema_id: int) -> None:
        """Fetch the schema that a body was written by, and keep it."""
        await self._reading.ask(schema_id, partial(self._learn_schema, schema_id))

    async def _learn_id(self, key: tuple[str, Schema]) -> None:
        ask = self._registry.register if self._auto_register else self._registry.look_up
        schema_id = await ask(*key)
        self.heads[key] = bytes([_MAGIC]) + schema_id.to_bytes(4, "big")

    async def _learn_schema(self, schema_id: int) -> None:
        self.written[schema_id] = self.codec.parsed(await self._registry.text(schema_id))


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
        if data[0] != _MAGIC or len(data) < _HEAD:
            raise DecodeError(
                "the body does not begin with a zero and the id of a schema, as Confluent's wire "
                "format has it"
            )
        written = None
        if self._codec.codec.resolves:
            schema_id = int.from_bytes(data[1:_HEAD], "big")
            written = self._codec.written.get(schema_id)
            if written is None:
                raise Unresolved(partial(self._codec.learn_schema, schema_id))
        return self._body.read(data[_HEAD:], written, change)


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
                raise Unresolved(partial(self._codec.learn_id, self._key))
        return head + self._body.write(body)

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        return self._of.decode(data, change)
