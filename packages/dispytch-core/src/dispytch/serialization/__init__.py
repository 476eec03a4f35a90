"""Between events and bytes: codecs for bodies, wire formats for what is around them."""

from dispytch.serialization.bodies import Bodies, Codecs
from dispytch.serialization.cloudevents import CloudEvents
from dispytch.serialization.codec import BodyCodec, Change, Codec, Unresolved
from dispytch.serialization.envelope0x import Envelope0x
from dispytch.serialization.formats.json import JsonCodec
from dispytch.serialization.formats.msgpack import MessagePackCodec
from dispytch.serialization.wire import WireFormat
from dispytch.serialization.writer import EventWriter

__all__ = [
    "Bodies",
    "BodyCodec",
    "Change",
    "CloudEvents",
    "Codec",
    "Codecs",
    "Envelope0x",
    "EventWriter",
    "JsonCodec",
    "MessagePackCodec",
    "Unresolved",
    "WireFormat",
]
