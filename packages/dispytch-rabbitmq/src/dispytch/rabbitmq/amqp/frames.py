"""Frames on the wire: cut out of the stream of bytes, and written by hand where it is often."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from dispytch.rabbitmq.amqp.errors import Unmarshallable

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
TYPES = (METHOD, HEADER, BODY, HEARTBEAT)
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
HEARTBEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"
FRAME_OVERHEAD = 8
FRAME_END = 0xCE
END = b"\xce"

BASIC_CANCEL = b"\x00\x3c\x00\x1e"
BASIC_RETURN = b"\x00\x3c\x00\x32"
BASIC_DELIVER = b"\x00\x3c\x00\x3c"
BASIC_ACK = b"\x00\x3c\x00\x50"
BASIC_NACK = b"\x00\x3c\x00\x78"
CHANNEL_CLOSE = b"\x00\x14\x00\x28"

_START = struct.Struct(">BHI")
_SETTLEMENT = struct.Struct(">BHIHHQBB")
_TAG = struct.Struct(">Q")


class Frame(NamedTuple):
    """One frame: its type, the number of its channel, and what is in it."""

    type: int
    channel: int
    payload: bytes


class FrameReader:
    """Cuts a stream of bytes into frames, wherever the network has cut it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete.

        Raises:
            Unmarshallable: the bytes are no frames.
        """
        data = self._rest + data if self._rest else data
        start, length = 0, len(data)
        try:
            while length - start >= FRAME_OVERHEAD:
                frame_type, channel, size = _START.unpack_from(data, start)
                if frame_type not in TYPES:
                    raise Unmarshallable(f"bytes that are no frame: {data[start : start + 8]!r}")
                end = start + 7 + size
                if end >= length:
                    break
                if data[end] != FRAME_END:
                    raise Unmarshallable(f"a frame of {size} bytes does not end as one")
                payload = data[start + 7 : end]
                start = end + 1
                yield Frame(frame_type, channel, payload)
        finally:
            self._rest = data[start:]


class Delivered(NamedTuple):
    """What a Basic.Deliver says of the message that follows it."""

    tag: int
    redelivered: bool
    exchange: str
    routing_key: str


class Returned(NamedTuple):
    """What a Basic.Return says of the message that follows it."""

    code: int
    text: str
    exchange: str
    routing_key: str


class Settled(NamedTuple):
    """A Basic.Ack or Basic.Nack from the broker: up to a tag, or the tag alone."""

    tag: int
    multiple: bool
    accepted: bool


def read_deliver(payload: bytes) -> Delivered:
    """Read a Basic.Deliver."""
    start = 5 + payload[4]
    exchange, end = _short(payload, start + 9)
    routing_key, _ = _short(payload, end)
    tag: int = _TAG.unpack_from(payload, start)[0]
    return Delivered(tag, bool(payload[start + 8]), exchange, routing_key)


def read_return(payload: bytes) -> Returned:
    """Read a Basic.Return."""
    text, end = _short(payload, 6)
    exchange, end = _short(payload, end)
    routing_key, _ = _short(payload, end)
    return Returned(int.from_bytes(payload[4:6]), text, exchange, routing_key)


def read_settled(payload: bytes) -> Settled:
    """Read a Basic.Ack or a Basic.Nack."""
    tag: int = _TAG.unpack_from(payload, 4)[0]
    return Settled(tag, bool(payload[12] & 1), payload[:4] == BASIC_ACK)


def ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Write a Basic.Ack."""
    return _SETTLEMENT.pack(METHOD, channel, 13, 60, 80, tag, multiple, FRAME_END)


def nack(channel: int, tag: int) -> bytes:
    """Write a Basic.Nack of one message that asks for it to be queued again."""
    return _SETTLEMENT.pack(METHOD, channel, 13, 60, 120, tag, 0b10, FRAME_END)


def publish(
    channel: int,
    exchange: bytes,
    routing_key: bytes,
    *,
    mandatory: bool,
    header: bytes,
    body: bytes,
    frame_max: int,
) -> bytes:
    """Write a Basic.Publish with its header and its body, in as many frames as it takes."""
    method = b"".join(
        (
            b"\x00\x3c\x00\x28\x00\x00",
            len(exchange).to_bytes(),
            exchange,
            len(routing_key).to_bytes(),
            routing_key,
            b"\x01" if mandatory else b"\x00",
        )
    )
    parts = [_START.pack(METHOD, channel, len(method)), method, END]
    parts += (_START.pack(HEADER, channel, len(header)), header, END)
    room = frame_max - FRAME_OVERHEAD
    for start in range(0, len(body), room):
        piece = body if len(body) <= room else body[start : start + room]
        parts += (_START.pack(BODY, channel, len(piece)), piece, END)
    return b"".join(parts)


def _short(payload: bytes, start: int) -> tuple[str, int]:
    end = start + 1 + payload[start]
    return payload[start + 1 : end].decode("utf-8", "replace"), end
