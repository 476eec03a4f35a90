"""What dispytch reads of its own headers, which anybody may have written."""

from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from dispytch import dead_letters as names
from dispytch.dead_letters import Failure, dead_letter, origin, original_headers
from dispytch.exceptions import BodyInvalid, DecodeError, RequestFailed
from dispytch.redelivery import Redelivery
from dispytch.replay import DeadLetter
from dispytch.replies import Asked, ReplyReader
from fuzzing import message
from fuzzing.target import Finding, Target
from fuzzing.targets.envelopes import binary
from fuzzing.targets.shapes import ORDER, Order
from fuzzing.texts import CANARY, check_error, check_text

_REDELIVERED: Final = binary(
    "ce_",
    "dispytch-original-topic: orders",
    "dispytch-handler: shop.handle",
    "dispytch-handler-topic: orders",
    "dispytch-attempt: 2",
    "dispytch-failures: 1",
    "dispytch-first-attempt: 1700000000000",
    "dispytch-due: 1700000001000",
)
_LETTER: Final = binary(
    "ce_",
    "dispytch-dead-letter-id: 0123",
    "dispytch-reason: failed",
    "dispytch-group: g",
    "dispytch-handler: shop.handle",
    "dispytch-attempts: 3",
    "dispytch-failed-at: 2026-01-02T03:04:05Z",
    "dispytch-exception-type: ValueError",
    "dispytch-exception-message: no",
    "dispytch-original-topic: orders",
    "dispytch-original-position: 4",
    "dispytch-original-timestamp: 1700000000000",
)
_REPLY: Final = binary("ce_", "dispytch-correlation-id: 1")
_FAILURE: Final = b"dispytch-reason: failed\ndispytch-handler: h\ndispytch-exception-type: E\n\n"


def _forged(name: str, value: bytes) -> bytes:
    """A message that came back, with one of its headers forged."""
    lines = [line for line in _REDELIVERED.split(b"\n") if not line.startswith(name.encode())]
    return b"\n".join([f"{name}: ".encode() + value, *lines])


SEEDS: Final = (
    _REDELIVERED,
    _LETTER,
    _REPLY,
    _FAILURE,
    _forged("dispytch-failures", b"-1000000"),
    _forged("dispytch-attempt", b"-7"),
    _forged("dispytch-attempt", b"9" * 400),
    _forged("dispytch-due", b"9" * 400),
    _forged("dispytch-due", b"99999999999999"),
    _forged("dispytch-first-attempt", b"9" * 30),
    _forged("dispytch-first-attempt", b"-" + b"9" * 400),
    _forged("dispytch-original-topic", b"\xff\x00" + b"x" * 300),
    _forged("dispytch-handler", b"somebody.else"),
    _FAILURE.replace(b": E", b": \x1b[31m\x00"),
)
_NAMES: Final = (
    *(name for name in vars(names).values() if str(name).startswith("dispytch-")),
    "dispytch-attempt",
    "dispytch-failures",
    "dispytch-first-attempt",
    "dispytch-due",
    "dispytch-reply-to",
    "dispytch-correlation-id",
)
WORDS: Final = (
    *(f"\n{name}: ".encode() for name in _NAMES),
    b"-1000000",
    b"9" * 400,
    b"99999999999999",
    b"1_000",
    "\u0661".encode(),
    b"0x10",
    b"\xff\xfe",
    b"1e9",
)


def _redelivery(data: bytes) -> None:
    delivery = message.delivery(data)
    try:
        found = Redelivery.of(delivery)
    except DecodeError as error:
        if CANARY not in str(delivery.headers):
            check_error(error, ORDER)
        return
    if found.attempt < 1 or found.failures < 0:
        raise Finding("attempts below 1, or failures below 0")
    again = found.message(delivery, "g")
    if again.value != delivery.value:
        raise Finding("the value has changed")


def _letter(data: bytes) -> None:
    delivery = message.delivery(data)
    letter = DeadLetter(delivery)
    for text in (letter.id, letter.reason, letter.handler, letter.error, letter.topic):
        if not isinstance(text, str | None):
            raise Finding("what a letter says is no text")
    if letter.attempts < 0 or not isinstance(letter.failed_at, datetime | None):
        raise Finding("attempts below 0, or no time")
    repr(letter)
    failure = Failure("failed", ValueError("no"), "shop.handle", 1, "orders")
    made = dead_letter(delivery, failure, destination="dead", group="g")
    _check_kept(delivery, made)


def _check_kept(delivery: message.Delivery, made: message.Message) -> None:
    read_again = original_headers(made.headers)
    if made.value != delivery.value or list(read_again) != list(delivery.headers):
        raise Finding("a dead letter is not the event")
    list(origin(delivery))


def _reply(data: bytes) -> None:
    delivery = message.delivery(data)
    Asked.of(delivery.headers)
    if CANARY in str(delivery.headers):
        return  # What stands around a body may be shown.
    reader = ReplyReader(prefixes=("ce_",))
    adapter: TypeAdapter[Any] = TypeAdapter(Order)
    try:
        reader.value(delivery, adapter, "ask")
    except (DecodeError, BodyInvalid) as error:
        check_error(error, delivery.value or b"")
    except RequestFailed as error:
        check_text(str(error), delivery.value or b"")


TARGETS: Final = (
    Target("redelivery", _redelivery, SEEDS, WORDS, weight=2),
    Target("dead-letter", _letter, SEEDS, WORDS),
    Target("reply", _reply, [*SEEDS, b"content-type: application/json\n\n" + ORDER], WORDS),
)
