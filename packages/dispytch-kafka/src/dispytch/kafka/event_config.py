"""What an event class tells Kafka about its messages."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from dispytch.event_config import EventConfig
from dispytch.exceptions import InvalidEvent
from dispytch.messages import Header


class KafkaEventConfig(EventConfig):
    """The ``__backend_config__`` of an event that goes to Kafka.

    partition_key: decides the partition in place of the event's key, and is the record's key when
        the event has none.
    partition: the number of the partition, whatever the key.
    timestamp: of the record: a datetime (one without a zone is local time), or milliseconds since
        the epoch; as a template, either of them in text. By default the time of sending.
    headers: more headers of the record, in UTF-8.
    """

    partition_key: str | None = None
    partition: Annotated[int, Field(ge=0)] | None = None
    timestamp: datetime | Annotated[int, Field(ge=0)] | str | None = None
    headers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _timestamp_is_a_time(self) -> Self:
        if isinstance(self.timestamp, str) and "{" not in self.timestamp:
            _milliseconds(self.timestamp)
        return self

    def timestamp_ms(self) -> int | None:
        """The timestamp in milliseconds since the epoch, or None for the time of sending.

        Raises:
            InvalidEvent: the filled-in template is no time.
        """
        try:
            return None if self.timestamp is None else _milliseconds(self.timestamp)
        except ValueError as error:
            raise InvalidEvent(
                f"the timestamp {self.timestamp!r} of a KafkaEventConfig is neither an ISO 8601 "
                "date and time nor milliseconds since the epoch"
            ) from error

    def encoded_headers(self) -> list[Header]:
        """The headers as they travel."""
        return [(name, value.encode()) for name, value in self.headers.items()]


def _milliseconds(time: datetime | int | str) -> int:
    if isinstance(time, str):
        time = int(time) if time.isdecimal() else datetime.fromisoformat(time)
    return time if isinstance(time, int) else round(time.timestamp() * 1000)
