"""What stands around a body: CloudEvents in all modes, plain messages, the envelope of 0.x."""

from collections.abc import Callable
from typing import Final

from dispytch.envelope import Envelope
from dispytch.events import Event
from dispytch.exceptions import DecodeError
from dispytch.serialization import CloudEvents, Envelope0x
from dispytch.serialization.wire import Reader
from fuzzing import message
from fuzzing.target import Finding, Target
from fuzzing.targets.shapes import JSON_WORDS, ORDER
from fuzzing.texts import CANARY, check_error

KAFKA: Final = ("ce_",)
AMQP: Final = ("cloudEvents_", "cloudEvents:", "ce-")


def binary(prefix: str, *more: str, value: bytes = ORDER) -> bytes:
    """An event in binary mode, as a seed."""
    lines = [
        "content-type: application/json",
        f"{prefix}id: 1",
        f"{prefix}source: shop",
        f"{prefix}specversion: 1.0",
        f"{prefix}time: 2026-01-02T03:04:05Z",
        f"{prefix}type: order",
        *more,
    ]
    return "\n".join(lines).encode() + b"\n\n" + value


def structured(*more: str) -> bytes:
    """An event in structured mode, as a seed."""
    attributes = '"specversion":"1.0","id":"1","source":"shop","type":"order"'
    data = f'"data":{{"id":1,"name":"{CANARY}"}}'
    event = "{" + ",".join([attributes, *more, data]) + "}"
    return b"content-type: application/cloudevents+json\n\n" + event.encode()


SEEDS: Final = (
    binary("ce_"),
    binary("ce_", "ce_dataversion: 2", "@key: 7"),
    binary("cloudEvents_"),
    binary("cloudEvents:", "cloudEvents:subject: a"),
    binary("ce-"),
    structured('"dataversion":2', '"time":"2026-01-02T03:04:05+01:00"'),
    structured('"datacontenttype":"text/plain"', '"data_base64":"YQ=="', '"subject":"a"'),
    b"type: order\nmessage-id: 9\ncontent-type: text/json; charset=utf-8\n\n" + ORDER,
    b'content-type: application/json\n\n{"id":"1","type":"order","timestamp":1700000000000,"body":'
    + ORDER
    + b"}",
    structured('"dataversion":1e999'),
    structured('"dataversion":' + "9" * 400),
    structured('"id":{"a":1}', '"time":1'),
    structured('"time":"yesterday"'),
    binary("ce_", "ce_dataversion: " + "9" * 5000),
    binary("ce_", "ce_time: -1000000000000000000"),
    binary("ce_").replace(b"ce_id: 1", b"ce_id: \xff"),
    b"content-type: application/cloudevents-batch+json\n\n[]",
)
WORDS: Final = (
    b"\nce_dataversion: ",
    b"\nce_time: ",
    b"\nCE_Type: ",
    b"\nContent-Type: ",
    b'"dataversion":',
    b'"data_base64":"',
    b'"datacontenttype":"',
    b'"time":',
    b'"timestamp":',
    b"9999-12-31T23:59:60Z",
    b"0000-00-00T00:00:00+99:99",
    b"-62135596800001",
    b"253402300800000",
    *JSON_WORDS,
)


def _run(read: Reader) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        delivery = message.delivery(data)
        try:
            envelope = read(delivery)
        except DecodeError as error:
            if CANARY.encode() not in data.partition(b"\n\n")[0]:
                check_error(error, delivery.value or b"")
            return
        _check(envelope)
        _look_at(Event(None, envelope, delivery))

    return run


def _check(envelope: Envelope) -> None:
    texts = (envelope.source, envelope.time, envelope.content_type, envelope.type)
    if not isinstance(envelope.id, str) or not all(isinstance(one, str | None) for one in texts):
        raise Finding("an attribute is no text")
    if not (envelope.version is None or (type(envelope.version) is int and envelope.version >= 1)):
        raise Finding("the version is no number from 1")


def _look_at(event: Event[None]) -> None:
    """Everything that a handler may ask of an event answers."""
    event.timestamp  # noqa: B018 - it is read
    for value in (event.key, *event.headers.values()):
        if not isinstance(value, str | None):
            raise Finding("a header is no text")


TARGETS: Final = (
    Target("cloudevents", _run(CloudEvents().reader(KAFKA)), SEEDS, WORDS, weight=3),
    Target("cloudevents-amqp", _run(CloudEvents().reader(AMQP)), SEEDS, WORDS, weight=2),
    Target("envelope-0x", _run(Envelope0x().reader(KAFKA)), SEEDS, WORDS, weight=2),
)
