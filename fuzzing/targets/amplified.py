"""Large bodies: a piece of an input is repeated until there is a megabyte of it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from dispytch.exceptions import DecodeError
from dispytch.serialization import (
    AvroCodec,
    CloudEvents,
    Codec,
    Envelope0x,
    JsonCodec,
    MessagePackCodec,
)
from fuzzing import message
from fuzzing.target import Target
from fuzzing.targets.bodies import decoder
from fuzzing.targets.shapes import Card, Cash, Order
from fuzzing.texts import check_error

SIZE: Final = 1_000_000
_HEADERS_SIZE: Final = 200_000
"""To read headers out of an input takes longer than what they are given to."""
_MARK: Final = b"\x1e"


def amplified(data: bytes, size: int = SIZE) -> bytes:
    """The input with the piece between its first two marks repeated."""
    head, mark, rest = data.partition(_MARK)
    piece, _, tail = rest.partition(_MARK)
    if not mark or not piece:
        return data
    return head + piece * (size // len(piece)) + tail


def _large(codec: Codec, body: Any) -> Callable[[bytes], None]:
    run = decoder([codec], body)
    return lambda data: run(amplified(data))


def _envelope(data: bytes) -> None:
    delivery = message.delivery(amplified(data, _HEADERS_SIZE))
    for read in (CloudEvents().reader(("ce_",)), Envelope0x().reader(("ce_",))):
        try:
            read(delivery)
        except DecodeError as error:
            check_error(error, b"")


_JSON_SEEDS: Final[Sequence[bytes]] = (
    b'[\x1e"CaNaRy",\x1e1]',
    b'[\x1e{"kind":"card"},\x1e1]',
    b"\x1e[\x1e",
    b'\x1e{"a":\x1e1',
    b"[1\x1e0\x1e]",
    b'{"id":1,"name":"\x1e\\u0041\x1e"}',
    b'{\x1e"a":1,\x1e"b":2}',
)
_OTHER_SEEDS: Final[Sequence[bytes]] = (
    b"\x1e\x91\x1e",
    b"\xdd\x00\x0f\x00\x00\x1e\xc0\x1e",
    b"\x1e\xa6CaNaRy\x1e",
    b"\x1e\xfe\x1e",
    b"\xfe\xff\x7f\x1e\x02a\x1e",
)
_ENVELOPE_SEEDS: Final[Sequence[bytes]] = (
    b'content-type: application/cloudevents+json\n\n{"specversion":"1.0","id":"\x1ea\x1e"}',
    b'content-type: application/cloudevents+json\n\n{"dataversion":1\x1e0\x1e}',
    b"ce_specversion: 1.0\nce_id: \x1ex\x1e\nce_type: a\nce_source: b\n\n{}",
    b'ce_specversion: 1.0\n\x1eh: 1\n\x1e\n\n{"id":1}',
    b'content-type: application/cloudevents+json\n\n\x1e{"a":\x1e',
    b"content-type: \x1ea;\x1e\n\n{}",
)
_SHORT: Final = 256


def _target(name: str, run: Callable[[bytes], None], seeds: Sequence[bytes]) -> Target:
    return Target(name, run, seeds, (_MARK,), weight=0.02, max_len=_SHORT, size=SIZE)


TARGETS: Final = (
    _target("large-json-numbers", _large(JsonCodec(), list[int]), _JSON_SEEDS),
    _target("large-json-unions", _large(JsonCodec(), list[Card | Cash | Order]), _JSON_SEEDS),
    _target("large-messagepack", _large(MessagePackCodec(), list[int]), _OTHER_SEEDS),
    _target("large-avro", _large(AvroCodec(single_object=False), list[str]), _OTHER_SEEDS),
    _target("large-envelopes", _envelope, _ENVELOPE_SEEDS),
)
