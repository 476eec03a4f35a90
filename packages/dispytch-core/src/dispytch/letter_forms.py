"""The forms of one dead letter, from the whole to the smallest: pure.

A broker that refuses one as too large may take the next. What dispytch has added goes first; the
event itself is never cut: it is in the letter as it was, or the letter says where it lies.
"""

import hashlib
from collections.abc import Iterator

from dispytch.dead_letters import (
    BODY_DIGEST,
    BODY_POSITION,
    BODY_SIZE,
    BODY_STREAM,
    EXCEPTION_MESSAGE,
    EXCEPTION_TRACEBACK,
    Failure,
    dead_letter,
)
from dispytch.headers import DATA, PREFIX
from dispytch.messages import Delivery, Header, Message, Undecodable

DIGEST = hashlib.sha256


def letter_forms(
    delivery: Delivery, failure: Failure, *, destination: str, group: str, rereads: bool
) -> Iterator[Message]:
    """The forms of the dead letter of a delivery; they have one id.

    rereads: the backend can read a message again, so that a letter may be by reference.
    """
    letter = dead_letter(delivery, failure, destination=destination, group=group)
    if not _is_missing(delivery):
        yield from _cut(letter)
        if not rereads:
            return
    yield from _by_reference(letter, delivery)


def _is_missing(delivery: Delivery) -> bool:
    """Whether the body could not be had, so that it cannot be in any letter."""
    return isinstance(delivery, Undecodable) and delivery.value is None


def _cut(letter: Message) -> Iterator[Message]:
    yield letter
    for name in (EXCEPTION_TRACEBACK, EXCEPTION_MESSAGE):
        letter = _without(letter, name)
        yield letter


def _by_reference(letter: Message, delivery: Delivery) -> Iterator[Message]:
    headers = [*letter.headers, *_place(delivery)]
    yield from _cut(Message(letter.topic, None, letter.key, headers, repeats=letter.repeats))
    # Its key and its own headers may be what is too large: they lie where the body does.
    added = [header for header in headers if _is_added(header)]
    yield from _cut(Message(letter.topic, None, None, added))


def _place(delivery: Delivery) -> Iterator[Header]:
    yield BODY_STREAM, delivery.lease.stream.encode("utf-8", "surrogateescape")
    yield BODY_POSITION, b"%d" % delivery.position
    if not _is_missing(delivery):
        value = delivery.value or b""
        yield BODY_SIZE, b"%d" % len(value)
        yield BODY_DIGEST, DIGEST(value).hexdigest().encode()


def _without(letter: Message, name: str) -> Message:
    headers = [header for header in letter.headers if header[0] != name]
    return Message(letter.topic, letter.value, letter.key, headers, repeats=letter.repeats)


def _is_added(header: Header) -> bool:
    return header[0].startswith(PREFIX) and not header[0].startswith(DATA)
