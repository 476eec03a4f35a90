"""The frames that the driver reads, whatever the broker sends."""

import asyncio
import struct

import pytest
from pamqp.body import ContentBody
from pamqp.commands import Basic, Queue
from pamqp.frame import marshal, unmarshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from dispytch.rabbitmq.frames import FrameReader, properties_of, reference

CHANNEL = 3
HOSTILE = struct.pack(">H", 1 << 7 | 1 << 6) + b"\x02\xff\xfe" + struct.pack(">Q", 2**63)
"""A message id that is not UTF-8, and a timestamp beyond all time."""


def header(properties: bytes, size: int = 2) -> bytes:
    payload = struct.pack(">HHQ", 60, 0, size) + properties
    return struct.pack(">BHI", 2, CHANNEL, len(payload)) + payload + b"\xce"


def delivered(key: bytes) -> bytes:
    payload = b"\x00\x3c\x00\x3c" + b"\x01c" + struct.pack(">QB", 2**40 + 200, 1) + b"\x01x"
    payload += bytes([len(key)]) + key
    return struct.pack(">BHI", 1, CHANNEL, len(payload)) + payload + b"\xce"


async def read(*frames: bytes) -> list[object]:
    """What the driver sees, which reads each frame in three parts."""
    stream = asyncio.StreamReader()
    stream.feed_data(b"".join(frames))
    stream.feed_eof()
    reader = FrameReader(stream)
    seen: list[object] = []
    while not reader.at_eof():
        head = await reader.readexactly(1)
        head += await reader.readexactly(6)
        rest = await reader.readexactly(struct.unpack(">BHI", head)[2] + 1)
        _, channel, frame = unmarshal(head + rest)
        assert channel in (0, CHANNEL)
        seen.append(frame)
    return seen


async def test_a_hostile_header_reaches_the_driver_as_one_that_it_can_read() -> None:
    body = marshal(ContentBody(b"{}"), CHANNEL)
    frame, content, after = await read(delivered(b"t"), header(HOSTILE), body)
    assert isinstance(frame, Basic.Deliver)
    assert (frame.delivery_tag, frame.redelivered, frame.routing_key) == (2**40 + 200, True, "t")
    assert isinstance(content, ContentHeader)
    assert content.body_size == 2
    given, key = properties_of(content)
    assert (given.message_id, given.timestamp, key) == ("\udcff\udcfe", 2**63, None)
    assert isinstance(after, ContentBody)
    assert after.value == b"{}"


async def test_a_routing_key_that_is_not_utf_8_is_kept_for_its_own_message() -> None:
    frames = await read(
        delivered(b"\xff"), header(HOSTILE), delivered("ä".encode()), header(b"\0\0")
    )
    first, second = (properties_of(each) for each in frames if isinstance(each, ContentHeader))
    assert first[1] == b"\xff"
    assert second[1] is None
    assert isinstance(frames[2], Basic.Deliver)
    assert frames[2].routing_key == "ä"


@pytest.mark.parametrize(("raw", "known"), [(b"mine", "mine"), (b"\xff\xfe", "\udcff\udcfe")])
async def test_what_comes_back_is_found_by_its_id(raw: bytes, known: str) -> None:
    back = marshal(Basic.Return(312, "NO_ROUTE", "x", "t"), CHANNEL)
    given = struct.pack(">H", 1 << 7) + bytes([len(raw)]) + raw
    _, content = await read(back, header(given))
    assert isinstance(content, ContentHeader)
    assert content.properties.message_id == reference(known)
    assert properties_of(content)[0].message_id == known


async def test_other_frames_are_as_they_came() -> None:
    frames = await read(
        marshal(Queue.DeclareOk("q", 1, 2), CHANNEL),
        marshal(Heartbeat(), 0),
        marshal(Basic.GetOk(2**40, False, "x", "t", 5), CHANNEL),
    )
    assert [type(frame) for frame in frames] == [Queue.DeclareOk, Heartbeat, Basic.GetOk]


async def test_a_connection_that_ends_in_mid_frame_says_so() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        await read(header(HOSTILE)[:-4])


async def test_a_frame_that_is_shorter_than_its_fields_is_left_to_the_driver() -> None:
    payload = b"\x00\x3c\x00\x3c\xff"
    broken = struct.pack(">BHI", 1, CHANNEL, len(payload)) + payload + b"\xce"
    stream = asyncio.StreamReader()
    stream.feed_data(broken)
    assert await FrameReader(stream).readexactly(len(broken)) == broken
