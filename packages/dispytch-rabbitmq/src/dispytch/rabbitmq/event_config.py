"""What an event class tells RabbitMQ about its messages."""

from datetime import datetime, timedelta
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from dispytch.event_config import EventConfig

HeaderValue: TypeAlias = str | int | bool
"""What a header may hold when its type on the wire matters."""


def _after_1970(moment: datetime) -> datetime:
    if moment.timestamp() < 0:
        raise ValueError("AMQP counts the seconds since 1970; an earlier time cannot be written")
    return moment


class RabbitMQEventConfig(EventConfig):
    """The AMQP 0-9-1 properties of an event's messages, and how they are routed.

    Every text may hold ``{field}`` templates of the event's own fields. Messages are always
    persistent.

    mandatory: whether a message that no queue takes is an error, ``Unroutable``, or dropped by the
        broker in silence; if not given, the backend's option ``unroutable`` says.
    routing_key: instead of the topic's own.
    headers: set beside those of the event, which win; whole numbers and booleans keep their type.
    priority: 0 to 255; RabbitMQ heeds it where the queue has priorities.
    expiration: how long a queue keeps it, from a millisecond on; a number means seconds.
    timestamp: whole seconds, as AMQP has them.
    user_id: must be the user who is logged in, or the broker refuses the message.
    """

    mandatory: bool | None = None
    routing_key: str | None = None
    headers: dict[str, HeaderValue] = Field(default_factory=dict)
    priority: Annotated[int, Field(ge=0, le=255)] | None = None
    expiration: Annotated[timedelta, Field(ge=timedelta(milliseconds=1))] | None = None
    timestamp: Annotated[datetime, AfterValidator(_after_1970)] | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    message_id: str | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    content_encoding: str | None = None

    def short_strings(self) -> dict[str, str]:
        """The properties that travel as short strings, by AMQP's own names."""
        texts = {
            "content_encoding": self.content_encoding,
            "correlation_id": self.correlation_id,
            "reply_to": self.reply_to,
            "message_id": self.message_id,
            "type": self.type,
            "user_id": self.user_id,
            "app_id": self.app_id,
        }
        if self.expiration is not None:
            texts["expiration"] = str(self.expiration // timedelta(milliseconds=1))
        return {name: text for name, text in texts.items() if text is not None}
