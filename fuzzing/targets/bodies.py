"""Bodies in every format, with and without a registry, and schemas of a hostile registry."""

import asyncio
import json
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Final

import fastavro
import ormsgpack
from google.protobuf import struct_pb2, type_pb2
from pydantic import BaseModel, TypeAdapter

from dispytch.envelope import Envelope
from dispytch.exceptions import BodyInvalid, DecodeError, RegistryUnavailable
from dispytch.serialization import (
    AvroCodec,
    Bodies,
    Codec,
    Codecs,
    JsonCodec,
    MemoryRegistry,
    MessagePackCodec,
    ProtobufCodec,
    RegistryCodec,
    Schema,
    Unresolved,
    resolved,
)
from fuzzing.target import Target
from fuzzing.targets.shapes import JSON_WORDS, ORDER, Order
from fuzzing.texts import CANARY, check_error, check_text

PLAIN: Final = json.loads(ORDER)


class Listing(BaseModel):
    """The body for ``google.protobuf.Type``, which has a bit of everything."""

    name: str
    oneofs: list[str] = []
    fields: list[dict[str, Any]] = []


def decoder(codecs: Sequence[Codec], body: Any) -> Callable[[bytes], None]:
    """Decodes as a listener does; the first line is the content type, if it has a slash."""
    # A message class of protobuf is no type that pydantic knows.
    known = Any if hasattr(body, "DESCRIPTOR") else body
    bodies = Bodies(Codecs(codecs), body, TypeAdapter(known))
    loop = asyncio.new_event_loop()

    def run(data: bytes) -> None:
        kind, separator, value = data.partition(b"\n")
        named = bool(separator) and b"/" in kind
        if named and CANARY.encode() in kind:
            return  # A content type is the sender's, and may be shown.
        content_type = kind.decode("utf-8", "replace") if named else None
        envelope = Envelope("1", "t", None, None, content_type, value if named else data)
        try:
            try:
                bodies.decode(envelope)
            except Unresolved as missing:
                loop.run_until_complete(resolved(lambda: bodies.decode(envelope), missing))
        except (DecodeError, BodyInvalid) as error:
            check_error(error, envelope.data)
        except RegistryUnavailable as error:
            # It is asked for so many unknown schemas a second, and no more.
            check_text(str(error), envelope.data)

    return run


def _msgpack() -> Target:
    packed = ormsgpack.packb(PLAIN)
    words = (b"\xc1", b"\x91" * 300, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc7")
    run = decoder([MessagePackCodec()], Order)
    return Target("messagepack", run, [packed, b"\x80", b"\x91\xc0"], words, weight=2)


_RECORD: Final = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "nothing", "type": {"type": "array", "items": "null"}},
        {"name": "weights", "type": {"type": "map", "values": "double"}},
    ],
}


def _written(schema: Any, value: Any) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def _avro() -> Target:
    """A body alone, so that every input gets as far as to be read."""
    codec = AvroCodec({Order: _RECORD}, single_object=False)
    value = {"id": 1, "name": CANARY, "tags": ["a"], "nothing": [None] * 3, "weights": {"a": 1.0}}
    seeds = [_written(_RECORD, value), b"\xc3\x01" + bytes(8)]
    words = (b"\xff" * 9 + b"\x01", b"\x80" * 300, b"\xfe\xff\xff\xff\x0f", b"\x01\xfe\xff\x0f")
    return Target("avro", decoder([codec], Order), seeds, words, weight=2)


def _protobuf() -> tuple[Target, Target]:
    struct = struct_pb2.Struct()
    struct.update(PLAIN)
    listing = type_pb2.Type(name=CANARY, oneofs=[CANARY])
    listing.fields.add(name="a", number=1)
    words = (b"\x0b" * 200, b"\x0a\x80" * 100, b"\xff" * 10, b"\x0a\xff\xff\xff\xff\x07")
    of_struct = decoder([ProtobufCodec()], struct_pb2.Struct)
    of_listing = decoder([ProtobufCodec({Listing: type_pb2.Type})], Listing)
    return (
        Target("protobuf-message", of_struct, [struct.SerializeToString()], words),
        Target("protobuf", of_listing, [listing.SerializeToString()], words, weight=2),
    )


def _confluent() -> Target:
    """Avro with ids of schemas: some that are there, some that are not, some that are hostile."""
    registry = MemoryRegistry()
    codec = AvroCodec()
    schemas: list[Any] = [
        _RECORD,
        {"type": "array", "items": "null"},
        {"type": "record", "name": "Empty", "fields": []},
        {"type": "array", "items": {"type": "record", "name": "None_", "fields": []}},
        "bytes",
        "string",
        {"type": "map", "values": "null"},
    ]
    loop = asyncio.new_event_loop()
    for number, schema in enumerate(schemas):
        text = json.dumps(schema)
        loop.run_until_complete(registry.register("s", Schema("AVRO", text, f"n{number}")))
    run = decoder([RegistryCodec(codec, registry)], Order)
    order = _written(
        _RECORD, {"id": 1, "name": CANARY, "tags": [], "nothing": [], "weights": {"a": 1.0}}
    )
    seeds = [b"\x00" + number.to_bytes(4, "big") + order for number in range(9)]
    seeds += [b"\x00\x00\x00\x00\x02\xfe\xff\xff\xff\x0f\x00", b"\x00\xff\xff\xff\xff", b"\x00"]
    return Target("confluent", run, seeds, (b"\xfe\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01"))


def _schema_texts() -> Target:
    """A registry may answer with anything."""
    codec = AvroCodec()

    def run(data: bytes) -> None:
        try:
            codec.parsed(data.decode("utf-8", "replace"))
        except DecodeError as error:
            check_error(error, b"")

    words = (b'"type":', b'"record"', b'"items":', b'"symbols":', b'"logicalType":"decimal"')
    seeds = [json.dumps(_RECORD).encode(), b'{"type":"enum","name":"E","symbols":["A"]}', b'"x"']
    return Target("avro-schema", run, seeds, (*words, *JSON_WORDS))


def _any_content_type() -> Target:
    codecs = [JsonCodec(), MessagePackCodec(), AvroCodec()]
    kinds = (b"application/json", b"application/msgpack", b"application/avro", b"text/json")
    seeds = [kind + b"\n" + ORDER for kind in kinds] + [b"application/x+json; a=b\n{}"]
    run = decoder(codecs, Any)
    return Target("content-types", run, seeds, (*kinds, b"+", b";", *JSON_WORDS))


TARGETS: Final = (
    Target("json", decoder([JsonCodec()], Order), [ORDER, b"", b"{}"], JSON_WORDS, weight=3),
    _any_content_type(),
    _msgpack(),
    _avro(),
    *_protobuf(),
    _confluent(),
    _schema_texts(),
)
