"""Requests and their replies, as they stand on the wire: pure.

A request is an event like any other, with two headers more: ``dispytch-reply-to``, the topic that
its reply goes to, and ``dispytch-correlation-id``, which the reply repeats. A reply is a CloudEvent
of the type ``dispytch.reply``, whose body is what the handler has returned. One of the type
``dispytch.failure`` has no body; its headers say what went wrong, as those of a dead letter do:
``dispytch-reason``, ``dispytch-handler``, ``dispytch-exception-type`` and
``dispytch-exception-message``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Final
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from dispytch.dead_letters import (
    EXCEPTION_MESSAGE,
    EXCEPTION_TYPE,
    HANDLER,
    MESSAGE_CUT,
    REASON,
)
from dispytch.envelope import Envelope
from dispytch.exceptions import DecodeError, EncodeError, MessageTooLarge, RequestFailed
from dispytch.failing import failure_of
from dispytch.messages import (
    CORRELATION_ID,
    REPLY_TO,
    Delivery,
    Headers,
    Message,
    Undecodable,
    present,
)
from dispytch.printable import TEXT_LIMIT, described, printable, qualified_name
from dispytch.serialization import CloudEvents, JsonCodec, refusal_of
from dispytch.serialization.limits import MAX_BODY_BYTES
from dispytch.serialization.wire import Reader
from dispytch.topics import TopicPattern

REPLY: Final = "dispytch.reply"
FAILURE: Final = "dispytch.failure"

_JSON: Final = JsonCodec()
_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")


def reply_topic(source: str) -> str:
    """The topic for replies to those who emit under a source: a name that any broker can have."""
    return f"{_NAME.sub('-', source).strip('-') or 'dispytch'}.replies"


_TEMPORARY: Final = re.compile(r"[A-Za-z0-9_-]+\.replies(\.[0-9a-f]{32})?")
"""The topics that requesters of dispytch have their replies sent to."""


class ReplyTopics:
    """Where replies may go: to the topics of requesters, and to those that are named here.

    Anybody who can send a request can write anything into it. A reply to a topic of their choice
    would be an event there, sent with this service's rights.

    Raises:
        ConfigurationError: a pattern cannot be read.
    """

    def __init__(self, more: Sequence[str] = ()) -> None:
        patterns = {text: TopicPattern.of(text) for text in more}
        self._names = {text for text, pattern in patterns.items() if pattern is None}
        self._patterns = [pattern for pattern in patterns.values() if pattern is not None]

    def may_have(self, topic: str) -> bool:
        """Whether a reply may go to a topic."""
        return (
            topic in self._names
            or _TEMPORARY.fullmatch(topic) is not None
            or any(pattern.matches(topic) for pattern in self._patterns)
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """Where the reply to a request goes, and under which id."""

    reply_to: str
    correlation_id: bytes

    @classmethod
    def of(cls, headers: Headers) -> "Asked | None":
        """What a message asks for; None if it is no request."""
        # Most events are none, and this is asked of every one that a handler could answer.
        for name, value in headers:
            if name == CORRELATION_ID and value is not None:
                reply_to = present(headers).get(REPLY_TO)
                return None if reply_to is None else cls(reply_to.decode("utf-8", "replace"), value)
        return None

    @property
    def headers(self) -> Headers:
        """The headers that make a message a request."""
        return ((REPLY_TO, self.reply_to.encode()), (CORRELATION_ID, self.correlation_id))


class ReplyWriter:
    """Writes the replies of a group: CloudEvents in JSON, whatever the requests came as."""

    def __init__(
        self, *, source: str, prefixes: Sequence[str], topics: ReplyTopics | None = None
    ) -> None:
        self._source = source
        self.topics: Final = topics or ReplyTopics()
        self._write = CloudEvents().writer(prefixes)

    def reply(self, asked: Asked, adapter: TypeAdapter[Any], value: object) -> Message:
        """The reply that says what a handler has returned.

        Raises:
            EncodeError: it is not of the type that the handler says it returns, or cannot be
                written.
        """
        try:
            valid = adapter.validate_python(value)
            return self._message(asked, REPLY, _JSON.encode(adapter, valid))
        except EncodeError:
            raise
        except ValidationError as error:
            text = f"it returned what its annotation refuses: {printable(error, MESSAGE_CUT)}"
        except BaseException as error:
            text = f"what it returned cannot be written: {described(failure_of(error))}"
        raise EncodeError(text)

    def failure(self, asked: Asked, reason: str, handler: str, error: Exception) -> Message:
        """The reply that says why there is none."""
        texts = {
            REASON: reason,
            HANDLER: handler,
            EXCEPTION_TYPE: qualified_name(error),
            EXCEPTION_MESSAGE: printable(error, MESSAGE_CUT),
        }
        message = self._message(asked, FAILURE, b"")
        message.headers = [
            *message.headers,
            *((name, text.encode("utf-8", "backslashreplace")) for name, text in texts.items()),
        ]
        return message

    def _message(self, asked: Asked, kind: str, data: bytes) -> Message:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        envelope = Envelope(str(uuid4()), kind, self._source, now, _JSON.content_type, data)
        value, headers = self._write(envelope)
        headers = [*headers, (CORRELATION_ID, asked.correlation_id)]
        return Message(asked.reply_to, value, None, headers, needs_reader=True)


def too_large(reply: Message) -> Message | None:
    """What is sent in place of a reply that the broker refuses for its size, if it is not that."""
    kind = f"{MessageTooLarge.__module__}.{MessageTooLarge.__qualname__}"
    if present(reply.headers).get(EXCEPTION_TYPE) == kind.encode():
        return None
    size = len(reply.value or b"")
    text = f"the reply has {size} bytes, which is more than the broker takes"
    texts = {
        REASON: "unanswerable",
        EXCEPTION_TYPE: kind,
        EXCEPTION_MESSAGE: text,
    }
    headers = [header for header in reply.headers if header[0] not in texts]
    headers += [(name, value.encode()) for name, value in texts.items()]
    return Message(reply.topic, b"", None, headers, needs_reader=True)


class ReplyReader:
    """Reads the replies to one emitter.

    max_body_bytes: what is larger is not parsed; None: there is no limit.
    """

    def __init__(
        self, *, prefixes: Sequence[str], max_body_bytes: int | None = MAX_BODY_BYTES
    ) -> None:
        self._limit: float = inf if max_body_bytes is None else max_body_bytes
        self._read: Reader = CloudEvents().reader(prefixes)

    def value(self, delivery: Delivery, adapter: TypeAdapter[Any], request: str) -> Any:
        """What a reply says, to a request by that name.

        Raises:
            RequestFailed: it says that the request has failed.
            DecodeError, BodyInvalid: it is not of the type that was asked for, or too large.
        """
        headers = present(delivery.headers)
        if REASON in headers:
            raise _failed(headers, request)
        if isinstance(delivery, Undecodable):
            raise DecodeError(f"the reply cannot be read: {printable(delivery.reason, TEXT_LIMIT)}")
        if delivery.value is not None and len(delivery.value) > self._limit:
            raise DecodeError(
                f"the reply has {len(delivery.value)} bytes, more than "
                f"max_body_bytes={self._limit}, and is not read; give the emitter a larger limit "
                "where such replies are wanted"
            )
        try:
            return _JSON.decode(adapter, self._read(delivery).data or b"")
        except BaseException as error:
            refusal = refusal_of(error, "the reply cannot be read")
        raise refusal


def _failed(headers: dict[str, bytes], request: str) -> RequestFailed:
    names = (REASON, HANDLER, EXCEPTION_TYPE, EXCEPTION_MESSAGE)
    reason, handler, kind, text = (
        headers.get(name, b"").decode("utf-8", "replace") for name in names
    )
    return RequestFailed(request, reason, handler, kind, text)
