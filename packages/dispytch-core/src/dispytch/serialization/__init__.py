"""Between events and bytes: codecs for bodies, wire formats for what is around them."""

from dispytch.serialization.cloudevents import CloudEvents
from dispytch.serialization.codec import Codec, Codecs, JsonCodec
from dispytch.serialization.envelope0x import Envelope0x
from dispytch.serialization.wire import WireFormat
from dispytch.serialization.writer import EventWriter

__all__ = [
    "CloudEvents",
    "Codec",
    "Codecs",
    "Envelope0x",
    "EventWriter",
    "JsonCodec",
    "WireFormat",
]
