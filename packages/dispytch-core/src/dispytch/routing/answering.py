"""What a handler answers to requests."""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import NoneType
from typing import Any, Never, NoReturn, get_args, get_origin

from pydantic import TypeAdapter

from dispytch.dependencies.signature import UNKNOWN, returned_by
from dispytch.exceptions import EncodeError, InvalidHandler
from dispytch.messages import Delivery, Message
from dispytch.printable import TEXT_LIMIT, printable, quoted
from dispytch.replies import Asked, ReplyWriter
from dispytch.serialization.adapters import Unvalidatable, adapter_of

logger: logging.Logger = logging.getLogger("dispytch")


@dataclass(frozen=True, slots=True)
class Result:
    """What a handler that answers returns; ``even_none``: None is an answer like any other."""

    adapter: TypeAdapter[Any]
    even_none: bool

    @classmethod
    def of(cls, handler: Callable[..., Any], told: bool | None, name: str) -> "Result | None":
        """What a handler answers; None if it does not.

        told: what its registration says, if it says anything. Otherwise its return annotation
        counts: one without answers what it returns, unless that is None.

        Raises:
            InvalidHandler: it was told to answer, and pydantic cannot write what it returns.
        """
        returned = _in_the_end(returned_by(handler))
        if told is False or (told is None and returned in (NoneType, NoReturn, Never)):
            return None
        return cls(_adapter(returned, told, name), told is True or returned is not UNKNOWN)


@dataclass(frozen=True, slots=True)
class Answering:
    """A handler that answers, and how its answers are written."""

    handler: str
    result: Result
    writer: ReplyWriter

    def to(self, delivery: Delivery) -> "Answer | None":
        """The answer to a delivery; None if that is no request, or may not have one."""
        asked = Asked.of(delivery.headers)
        if asked is None:
            return None
        if not self.writer.topics.may_have(asked.reply_to):
            logger.warning(
                "handler %s does not answer to topic %s, which is none for replies: name it in "
                "reply_topics of the EventListener if it is one",
                self.handler,
                quoted(asked.reply_to),
            )
            return None
        return Answer(self, asked)


class Answer:
    """The answer to one request, once its handler has returned or was given up."""

    def __init__(self, by: Answering, asked: Asked) -> None:
        self._by = by
        self._asked = asked

    def returned(self, value: object) -> Message | None:
        """What is sent after the handler has returned; None if it had nothing to say."""
        by = self._by
        if value is None and not by.result.even_none:
            return None
        try:
            return by.writer.reply(self._asked, by.result.adapter, value)
        except EncodeError as error:
            logger.error("handler %s cannot answer: %s", by.handler, printable(error, TEXT_LIMIT))
            return self.failed("unanswerable", error)

    def failed(self, reason: str, error: Exception) -> Message:
        """What is sent when no handler will return any more."""
        return self._by.writer.failure(self._asked, reason, self._by.handler, error)


def _in_the_end(annotation: Any) -> Any:
    """What is returned in the end: a function that is not async may return an awaitable."""
    if get_origin(annotation) in (Awaitable, Coroutine):
        annotation = get_args(annotation)[-1]
        return NoneType if annotation is None else annotation
    return annotation


def _adapter(returned: Any, told: bool | None, name: str) -> TypeAdapter[Any]:
    if returned is UNKNOWN:
        return TypeAdapter(Any)
    try:
        return adapter_of(returned)
    except Unvalidatable as error:
        if told is None:
            # Nobody may ever ask it, and without requests it may return whatever it likes.
            return TypeAdapter(Any)
        raise InvalidHandler(
            f"handler {name} answers requests, but pydantic cannot write what it returns, "
            f"{returned!r}: {error}"
        ) from error
