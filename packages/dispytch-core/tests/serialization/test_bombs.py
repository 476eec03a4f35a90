"""Bodies that are small on the wire; the looks that Avro needs have tests of their own."""

import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Value
from pydantic import TypeAdapter

from dispytch.exceptions import BodyInvalid, DecodeError
from dispytch.serialization import JsonCodec, Limits, MessagePackCodec, ProtobufCodec

from . import messages

ANY = TypeAdapter[Any](Any)
MEGABYTE = 1_000_000


def order_of_lines(count: int) -> bytes:
    """An order with so many lines, of two bytes each."""
    [lines] = [one for one in messages.Order.DESCRIPTOR.fields if one.name == "lines"]
    return bytes([lines.number << 3 | 2, 0]) * count


def nested(count: int) -> bytes:
    """Messages within each other, as a `Struct` has them in a list."""
    value = b"\x20\x01"
    for _ in range(count):
        inner = b"\x0a" + length(len(value)) + value
        value = b"\x32" + length(len(inner)) + inner
    return value


def length(size: int) -> bytes:
    made = bytearray()
    while size > 0x7F:
        made.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*made, size])


def measured(read: Callable[[], Any], size: int) -> None:
    """It takes no more time and memory than the size of the bytes allows."""
    tracemalloc.start()
    before = perf_counter()
    try:
        read()
    finally:
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert taken < 50 * MEGABYTE + 300 * size
    assert perf_counter() - before < 20


MESSAGE_PACK = [
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xdd\x06\x00\x00\x00" + b"\xc0" * 10,
    b"\xdd\x00\x10\x00\x00" * 900,
    b"\xdf\x00\x10\x00\x00\xa0" * 900,
    b"\xdf\x00\x10\x00\x00" * 900,
    b"\x81" + b"\xdd\x00\x10\x00\x00" * 900,
    b"\x91" * MEGABYTE,
    b"\x9f" * MEGABYTE,
    b"\x81\xa0" * MEGABYTE,
    b"\x8f" * MEGABYTE,
    b"\xde\xff\xff" * 100_000,
    b"\xd6\xff\0\0\0\0",
    b"\xd4\x01\0",
    b"\xc7\x00\x05",
    b"\xc1",
    b"\xa1\xff",
    b"\x81\x80\xc0",
    b"\xc0\xc0",
    b"\x01\x02\x03",
    b"\x90\xc1",
]


@pytest.mark.parametrize("data", MESSAGE_PACK, ids=range(len(MESSAGE_PACK)))
def test_message_pack_that_announces_more_than_it_has(data: bytes) -> None:
    def read() -> None:
        with pytest.raises(DecodeError, match="the bytes are not MessagePack"):
            MessagePackCodec().decode(ANY, data)

    measured(read, len(data))


def test_message_pack_of_many_small_things_costs_what_its_size_allows() -> None:
    data = b"\xdd\x00\x0f\x42\x40" + b"\x80" * MEGABYTE
    measured(lambda: MessagePackCodec().decode(ANY, data), len(data))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":['])
def test_json_within_each_other_is_bounded(opening: bytes) -> None:
    def read() -> None:
        with pytest.raises(DecodeError, match="recursion limit exceeded"):
            JsonCodec().decode(ANY, opening * MEGABYTE)

    measured(read, MEGABYTE)


@pytest.mark.parametrize("data", [b"1" * MEGABYTE, b"-" + b"9" * 4400, b"[" + b"1" * MEGABYTE])
def test_numbers_of_json_are_bounded(data: bytes) -> None:
    def read() -> None:
        with pytest.raises((DecodeError, BodyInvalid)):
            JsonCodec().decode(ANY, data)

    measured(read, len(data))


def test_protobuf_messages_at_their_defaults_are_bounded() -> None:
    data = order_of_lines(MEGABYTE // 2)
    body = ProtobufCodec({dict: messages.Order}, limits=Limits(values=100_000)).bind(dict, ANY)

    def read() -> None:
        with pytest.raises(DecodeError) as caught:
            body.decode(data)
        assert str(caught.value) == (
            "the Protobuf body leaves more than 100000 fields at their defaults; "
            "ProtobufCodec(limits=Limits(values=...)) allows more"
        )

    measured(read, len(data))
    small = body.decode(order_of_lines(1000))
    assert (len(small["lines"]), small["lines"][0]) == (1000, {"sku": "", "count": 0})


def test_empty_lists_and_maps_are_not_shared() -> None:
    body = ProtobufCodec({dict: messages.Order}).bind(dict, ANY)
    first, second = body.decode(b""), body.decode(b"")
    assert first == second
    first["lines"].append(1)
    first["by_sku"]["a"] = 1
    assert (second["lines"], second["by_sku"]) == ([], {})


def test_protobuf_within_each_other_is_bounded() -> None:
    body = ProtobufCodec().bind(Value, ANY)
    body.decode(nested(40))
    with pytest.raises(DecodeError, match="the bytes are no google"):
        body.decode(nested(10_000))
