"""Signatures of what only the group may write: its retry and dead-letter topics, and replies. Pure.

A signature is the header ``dispytch-signature``: ``hmac-sha256=`` and the HMAC with a key that only
the group knows, in hexadecimal digits. It covers what the message is for, its value, its key, and
all of its headers but those of `UNSIGNED` and those that the broker itself adds. Each part is
preceded by its length, and a null is no empty part, so that nothing can be moved from one part to
another. What a backend gives to every message that lacks it, as RabbitMQ's an id, is covered where
it was there before. The order among headers of different names does not count, as not every broker
keeps it.

What a message is for says that a signature counts in one place only: that of a dead letter makes
no retry, and what one group has signed counts in no other.
"""

import hmac
from collections.abc import Iterator, Sequence
from typing import Final, cast

from pydantic import SecretBytes, SecretStr

from dispytch.dead_letters import REPLAY_TURN
from dispytch.exceptions import ConfigurationError, Unsigned
from dispytch.messages import Header, Headers, Message
from dispytch.transport import Features

SIGNATURE: Final = "dispytch-signature"

UNSIGNED: Final = (SIGNATURE, REPLAY_TURN)
"""A replay marks what it puts back, whether it can sign or not; the mark makes nothing run."""

KEY_MIN: Final = 16
"""The shortest key, in bytes."""

SigningKey = bytes | str | SecretStr | SecretBytes
"""A key; text counts as UTF-8."""

Purpose = tuple[str, ...]
"""What a message is for; see `for_retry`, `for_letters` and `for_reply`."""

_VERSION: Final = b"dispytch 1"
_SCHEME: Final = b"hmac-sha256="


def for_retry(group: str) -> Purpose:
    """To come back to a group: for a later attempt, or replayed."""
    return ("retry", group)


def for_letters(group: str, topic: str) -> Purpose:
    """To lie in a topic for the dead letters of a group."""
    return ("dead letter", group, topic)


def for_reply(topic: str) -> Purpose:
    """To answer a request that has its replies sent to a topic."""
    return ("reply", topic)


class Signer:
    """Signs with the first of its keys, and takes what is signed with any of them.

    features: those of the backend, which say what happens to headers on the way.
    """

    def __init__(self, keys: Sequence[bytes], features: Features | None = None) -> None:
        # Keyed here, copied for each message; nothing shows a key.
        self._keyed = [hmac.new(key, digestmod="sha256") for key in keys]
        self._broker_headers = () if features is None else features.broker_headers
        self._added_headers = () if features is None else features.added_headers

    @classmethod
    def of(
        cls,
        where: str,
        given: SigningKey | Sequence[SigningKey] | None,
        features: Features | None = None,
    ) -> "Signer | None":
        """What signs with these keys; None without any. ``where`` names who was given them.

        Raises:
            ConfigurationError: one is no key, or too short to be one.
        """
        if given is None:
            return None
        several = isinstance(given, list | tuple)
        keys = cast("Sequence[object]", given) if several else (given,)
        if not keys:
            raise _refused(where, "an empty list")
        return cls([_key(where, key) for key in keys], features)

    def sign(self, message: Message, purpose: Purpose) -> None:
        """Give a message its signature, in place of any other."""
        others = [header for header in message.headers if header[0] != SIGNATURE]
        made = self._signature(self._keyed[0], message, purpose, others)
        message.headers = [*others, (SIGNATURE, made)]

    def doubt(self, message: Message, purpose: Purpose) -> str | None:
        """Why a message cannot be trusted to be what this signs; None if it can."""
        found = [value for name, value in message.headers if name == SIGNATURE]
        if not found:
            return f"it has no signature: the header {SIGNATURE!r} is missing"
        if len(found) > 1 or found[0] is None:
            return f"the header {SIGNATURE!r} is there more than once, or is null"
        if any(
            hmac.compare_digest(found[0], self._signature(keyed, message, purpose, headers))
            for headers in self._readings(message.headers)
            for keyed in self._keyed
        ):
            return None
        return (
            "its signature is wrong: it was changed, comes from elsewhere, or was signed with "
            "another signing_key"
        )

    def check(self, message: Message, purpose: Purpose) -> None:
        """Let pass what is signed for this purpose.

        Raises:
            Unsigned: the message is not.
        """
        doubt = self.doubt(message, purpose)
        if doubt is not None:
            raise Unsigned(
                f"a message in a topic that only the group writes to is not handled: {doubt}"
            )

    def __repr__(self) -> str:
        return f"<Signer, {len(self._keyed)} keys>"

    def _readings(self, headers: Headers) -> Iterator[Headers]:
        """The headers, as they may have been when they were signed."""
        yield headers
        before = [header for header in headers if header[0] not in self._added_headers]
        if len(before) < len(headers):
            yield before

    def _signature(
        self, keyed: hmac.HMAC, message: Message, purpose: Purpose, headers: Headers
    ) -> bytes:
        digest = keyed.copy()
        for part in self._parts(message, purpose, headers):
            digest.update(b"\0" if part is None else b"\1%d:" % len(part))
            if part:
                digest.update(part)
        return _SCHEME + digest.hexdigest().encode()

    def _parts(
        self, message: Message, purpose: Purpose, headers: Headers
    ) -> Iterator[bytes | None]:
        yield _VERSION
        yield from (_bytes(text) for text in purpose)
        yield message.key
        yield message.value
        for name, value in self._signed(headers):
            yield _bytes(name)
            yield value

    def _signed(self, headers: Headers) -> Sequence[Header]:
        """The headers that count; those of one name stay in their order."""
        counting = [
            header
            for header in headers
            if header[0] not in UNSIGNED and not header[0].startswith(self._broker_headers)
        ]
        return sorted(counting, key=lambda header: _bytes(header[0]))


def _key(where: str, given: object) -> bytes:
    if isinstance(given, SecretStr | SecretBytes):
        given = given.get_secret_value()
    if isinstance(given, str):
        given = _bytes(given)
    if not isinstance(given, bytes):
        raise _refused(where, type(given).__name__)
    if len(given) < KEY_MIN:
        raise _refused(where, f"{len(given)} bytes")
    return given


def _refused(where: str, what: str) -> ConfigurationError:
    # What was given may be a secret: its kind and length are told, never itself.
    return ConfigurationError(
        f"{where}: signing_key must be bytes, str, SecretStr or SecretBytes of at least {KEY_MIN} "
        f"bytes, or a list of such keys, the first of which signs (given: {what})"
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
