"""Frames: cut out of the stream, and written by hand as the codec would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, header
from pamqp.frame import marshal

from dispytch.rabbitmq.amqp import frames
from dispytch.rabbitmq.amqp.errors import Unmarshallable
from dispytch.rabbitmq.amqp.frames import Delivered, FrameReader, Returned, Settled


@given(st.lists(st.binary(max_size=50), max_size=8), st.data())
def test_frames_come_out_whole_wherever_the_stream_is_cut(
    payloads: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(marshal(body.ContentBody(payload), 5) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader, got = FrameReader(), list[bytes]()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += [frame.payload for frame in reader.feed(stream[start:end])]
    assert got == payloads


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400", b"AMQP\x00\x00\x09\x01", b"\x01\x00\x00\x00\x00\x00\x01ab"]
)
def test_bytes_that_are_no_frames_are_refused(data: bytes) -> None:
    with pytest.raises(Unmarshallable):
        list(FrameReader().feed(data))


def test_settlements_are_written_as_the_codec_writes_them() -> None:
    assert frames.ack(7, 2**40, multiple=True) == marshal(commands.Basic.Ack(2**40, True), 7)
    assert frames.ack(7, 3, multiple=False) == marshal(commands.Basic.Ack(3, False), 7)
    assert frames.nack(7, 3) == marshal(commands.Basic.Nack(3, False, True), 7)


@pytest.mark.parametrize("mandatory", [True, False])
@pytest.mark.parametrize("size", [0, 1, 92, 93, 184, 300])
def test_a_message_is_written_as_the_codec_writes_it(mandatory: bool, size: int) -> None:
    content = header.ContentHeader(0, size, commands.Basic.Properties(app_id="a"))
    data = bytes(index % 251 for index in range(size))
    pieces = [data[start : start + 92] for start in range(0, size, 92)]
    expected = [
        marshal(commands.Basic.Publish(0, "x", "a.b", mandatory), 3),
        marshal(content, 3),
        *(marshal(body.ContentBody(piece), 3) for piece in pieces),
    ]
    assert b"".join(expected) == frames.publish(
        3, b"x", b"a.b", mandatory=mandatory, header=content.marshal(), body=data, frame_max=100
    )


def payload(method: commands.Basic.Deliver | commands.Basic.Return | commands.Basic.Ack) -> bytes:
    return marshal(method, 1)[7:-1]


def test_methods_are_read_as_the_codec_writes_them() -> None:
    deliver = commands.Basic.Deliver("tag", 2**40, True, "x", "a.b")
    assert frames.read_deliver(payload(deliver)) == Delivered(2**40, True, "x", "a.b")
    returned = commands.Basic.Return(312, "NO_ROUTE", "x", "a.b")
    assert frames.read_return(payload(returned)) == Returned(312, "NO_ROUTE", "x", "a.b")
    assert frames.read_settled(payload(commands.Basic.Ack(9, True))) == Settled(9, True, True)
