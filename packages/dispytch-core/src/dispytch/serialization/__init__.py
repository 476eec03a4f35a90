"""Between events and bytes: codecs for bodies, wire formats for what is around them."""

from dispytch.serialization.bodies import Bodies, Codecs
from dispytch.serialization.cloudevents import CloudEvents
from dispytch.serialization.codec import BodyCodec, Change, Codec, Unresolved, resolved
from dispytch.serialization.envelope0x import Envelope0x
from dispytch.serialization.formats.avro import AvroCodec
from dispytch.serialization.formats.json import JsonCodec
from dispytch.serialization.formats.msgpack import MessagePackCodec
from dispytch.serialization.formats.protobuf import ProtobufCodec
from dispytch.serialization.limits import Limits
from dispytch.serialization.refusals import refusal_of
from dispytch.serialization.registry import (
    ConfluentRegistry,
    MemoryRegistry,
    RegistryCodec,
    SchemaRegistry,
    record_subject,
    topic_record_subject,
    topic_subject,
)
from dispytch.serialization.schemas import Schema, SchemaBody, SchemaCodec
from dispytch.serialization.wire import WireFormat
from dispytch.serialization.writer import EventWriter

__all__ = [
    "AvroCodec",
    "Bodies",
    "BodyCodec",
    "Change",
    "CloudEvents",
    "Codec",
    "Codecs",
    "ConfluentRegistry",
    "Envelope0x",
    "EventWriter",
    "JsonCodec",
    "Limits",
    "MemoryRegistry",
    "MessagePackCodec",
    "ProtobufCodec",
    "RegistryCodec",
    "Schema",
    "SchemaBody",
    "SchemaCodec",
    "SchemaRegistry",
    "Unresolved",
    "WireFormat",
    "record_subject",
    "refusal_of",
    "resolved",
    "topic_record_subject",
    "topic_subject",
]
