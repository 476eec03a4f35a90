"""Signatures: what they cover, which keys they take, and what is no key."""

from collections.abc import Callable, Sequence
from copy import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from dispytch import DeadLetters, EventEmitter, EventListener
from dispytch.exceptions import ConfigurationError, Unsigned
from dispytch.messages import Header, Message
from dispytch.signing import (
    SIGNATURE,
    UNSIGNED,
    Purpose,
    Signer,
    SigningKey,
    for_letters,
    for_reply,
    for_retry,
)
from dispytch.transport import Features

KEY = b"0123456789abcdef"
OTHER = b"fedcba9876543210"

names = st.text(max_size=8).filter(lambda name: name not in UNSIGNED)
values = st.none() | st.binary(max_size=8)
headers = st.lists(st.tuples(names, values), max_size=4)
purposes = st.one_of(
    st.builds(for_retry, names), st.builds(for_letters, names, names), st.builds(for_reply, names)
)
messages = st.builds(Message, names, values, values, headers)


def signer(*keys: bytes) -> Signer:
    features = Features(
        durable=False,
        history=False,
        shared_order=False,
        broker_headers=("x-death",),
        added_headers=("message-id",),
    )
    return Signer(keys or (KEY,), features)


def signed(message: Message, purpose: Purpose = ("retry", "g")) -> Message:
    message = copy(message)
    signer().sign(message, purpose)
    return message


def counting(message: Message) -> object:
    """All that a signature has to tell apart: headers of different names have no order."""
    own = [header for header in message.headers if header[0] != SIGNATURE]
    by_name = {name: [value for other, value in own if other == name] for name, _ in own}
    return message.key, message.value, by_name


@given(messages, purposes)
def test_what_was_signed_is_taken_for_its_purpose(message: Message, purpose: Purpose) -> None:
    assert signer().doubt(signed(message, purpose), purpose) is None


@given(messages, messages, purposes, purposes)
def test_no_signature_is_that_of_another_message_or_purpose(
    one: Message, other: Message, purpose: Purpose, another: Purpose
) -> None:
    same = counting(one) == counting(other) and purpose == another
    other = signed(other, another)
    other.headers = [*other.headers[:-1], signed(one, purpose).headers[-1]]
    assert (signer().doubt(other, another) is None) is same


@given(messages)
def test_headers_of_different_names_may_come_in_any_order(message: Message) -> None:
    made = signed(message)
    by_name = sorted(made.headers, key=lambda header: header[0][::-1])
    made.headers = by_name
    assert signer().doubt(made, ("retry", "g")) is None


def test_a_topic_says_nothing_as_events_wait_in_several() -> None:
    made = signed(Message("g.retry", b"v"), for_retry("g"))
    made.topic = "g.retry.20m"
    assert signer().doubt(made, for_retry("g")) is None


BASE: list[Header] = [
    ("a", b"1"),
    ("b", b""),
    ("n", None),
    ("a", b"2"),
    ("dispytch-due", b"17"),
    ("content-type", b"application/json"),
]


def _headers(*made: Header) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        message.headers = [*made, *(h for h in message.headers if h[0] == SIGNATURE)]

    return change


def _attribute(name: str, value: bytes | None) -> Callable[[Message], None]:
    return lambda message: setattr(message, name, value)


def _signature(*values: bytes | None) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        own = [header for header in message.headers if header[0] != SIGNATURE]
        message.headers = [*own, *((SIGNATURE, value) for value in values)]

    return change


CHANGES: dict[str, Callable[[Message], None]] = {
    "value": _attribute("value", b"W"),
    "value cut": _attribute("value", b""),
    "value null": _attribute("value", None),
    "key": _attribute("key", b"l"),
    "key empty": _attribute("key", b""),
    "key null": _attribute("key", None),
    "no headers": _headers(),
    "one header fewer": _headers(*BASE[1:]),
    "one header more": _headers(*BASE, ("c", b"")),
    "one header twice": _headers(*BASE, BASE[0]),
    "order within a name": _headers(BASE[3], *BASE[1:3], BASE[0], *BASE[4:]),
    "empty to null": _headers(BASE[0], ("b", None), *BASE[2:]),
    "null to empty": _headers(*BASE[:2], ("n", b""), *BASE[3:]),
    "name": _headers(("A", b"1"), *BASE[1:]),
    "moved between name and value": _headers(("a1", b""), *BASE[1:]),
    "one of ours": _headers(*BASE[:4], ("dispytch-due", b"18"), BASE[5]),
    "content type": _headers(*BASE[:5], ("content-type", b"text/plain")),
    "looks like the broker's": _headers(*BASE, ("x-tenant", b"evil")),
    "signature gone": _signature(),
    "signature null": _signature(None),
    "signature empty": _signature(b""),
    "signature without scheme": _signature(b"0" * 64),
    "signature wrong": _signature(b"hmac-sha256=" + b"0" * 64),
    "signature twice": lambda m: setattr(m, "headers", [*m.headers, list(m.headers)[-1]]),
    "signature not ASCII": _signature(b"\xff\xfe"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_is_refused(change: Callable[[Message], None]) -> None:
    made = signed(Message("g.retry", b"V", b"k", BASE))
    assert signer().doubt(made, ("retry", "g")) is None
    change(made)
    with pytest.raises(Unsigned, match="is not handled"):
        signer().check(made, ("retry", "g"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Message("t", b"v", b"k\1v"), Message("t", b"v\1v", b"k")),
        (Message("t", None, b"k"), Message("t", b"", b"k\0")),
        (
            Message("t", b"v", None, [("a", b"x"), ("b", b"y")]),
            Message("t", b"v", None, [("a", b"x\1b\1y")]),
        ),
        (
            Message("t", b"v", None, [("a", b""), ("b", b"")]),
            Message("t", b"v", None, [("a", b"\0011:b\0010:")]),
        ),
    ],
)
def test_no_part_can_look_like_several(one: Message, other: Message) -> None:
    assert signed(one).headers[-1] != signed(other).headers[-1]


@pytest.mark.parametrize(
    "elsewhere",
    [
        for_retry("h"),
        for_letters("g", "t"),
        for_letters("g", "g"),
        for_reply("g"),
    ],
)
def test_a_signature_counts_for_one_purpose(elsewhere: Purpose) -> None:
    made = signed(Message("t", b"V", b"k", BASE), for_retry("g"))
    assert signer().doubt(made, elsewhere) is not None


def test_what_the_broker_and_a_replay_add_is_not_covered() -> None:
    made = signed(Message("g.retry", b"V", b"k", [("x-death", b"1"), *BASE]))
    made.headers = [
        ("dispytch-replay-turn", b"1"),
        ("x-death-count", b"2"),
        *(header for header in made.headers if header[0] != "x-death"),
    ]
    assert signer().doubt(made, ("retry", "g")) is None


def test_what_every_message_gets_is_covered_where_it_was_there_before() -> None:
    without = signed(Message("g.retry", b"V", None, BASE))
    without.headers = [*without.headers, ("message-id", b"made up")]
    assert signer().doubt(without, ("retry", "g")) is None
    had = signed(Message("g.retry", b"V", None, [*BASE, ("message-id", b"7")]))
    assert signer().doubt(had, ("retry", "g")) is None
    for others in (
        [header for header in had.headers if header[0] != "message-id"],
        [(n, b"8" if n == "message-id" else value) for n, value in had.headers],
        [*had.headers, ("message-id", b"8")],
    ):
        assert signer().doubt(Message("g.retry", b"V", None, others), ("retry", "g")) is not None


def test_signing_again_replaces_the_signature() -> None:
    made = signed(Message("g.retry", b"V"))
    once = list(made.headers)
    signer().sign(made, ("retry", "g"))
    assert made.headers == once


def test_keys_are_changed_without_a_gap() -> None:
    old = signed(Message("g.retry", b"V"))
    assert Signer([OTHER, KEY]).doubt(old, ("retry", "g")) is None
    assert Signer([OTHER]).doubt(old, ("retry", "g")) is not None
    new = Message("g.retry", b"V")
    Signer([OTHER, KEY]).sign(new, ("retry", "g"))
    assert Signer([OTHER]).doubt(new, ("retry", "g")) is None
    assert Signer([KEY]).doubt(new, ("retry", "g")) is not None


@pytest.mark.parametrize(
    "key",
    [KEY, KEY.decode(), SecretStr(KEY.decode()), SecretBytes(KEY), [KEY], (SecretBytes(KEY),)],
)
def test_keys_are_bytes_text_or_secrets(key: SigningKey | Sequence[SigningKey]) -> None:
    made = Signer.of("here", key)
    assert made is not None
    assert made.doubt(signed(Message("g.retry", b"V")), ("retry", "g")) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        b"",
        "hush-hush-15-by",
        SecretStr("hush-hush"),
        SecretBytes(b"hush"),
        [],
        ["hush"],
        [KEY, 7],
        7,
        {KEY},
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(key: object) -> None:
    for make in (
        lambda: EventListener("memory://", group="g", signing_key=key),  # type: ignore[arg-type]
        lambda: EventEmitter("memory://", signing_key=key),  # type: ignore[arg-type]
        lambda: DeadLetters("memory://", group="g", signing_key=key),  # type: ignore[arg-type]
    ):
        with pytest.raises(
            ConfigurationError, match=r"signing_key must be .* at least 16"
        ) as error:
            make()
        assert "hush" not in str(error.value)


def test_nothing_shows_a_key() -> None:
    listener = EventListener("memory://", group="g", signing_key=[KEY, OTHER])
    made = Signer.of("here", [KEY, OTHER])
    for text in (repr(made), str(vars(listener)), repr(vars(made))):
        assert KEY.decode() not in text
        assert OTHER.decode() not in text
    assert repr(made) == "<Signer, 2 keys>"
