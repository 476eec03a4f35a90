"""What an event class tells one backend about its messages."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict

Fill = Callable[[str], str]
"""Fills the ``{field}`` templates of a text from one event."""


class EventConfig(BaseModel):
    """The base of every ``__backend_config__``: ``KafkaEventConfig``, ``RabbitMQEventConfig``.

    Frozen; unknown options are refused when it is made. A text in it, or in a dictionary in it,
    may hold ``{field}`` templates of the event's own fields.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    def templates(self) -> Iterator[str]:
        """The texts in it that hold a template; core checks them against the event class."""
        for _, value in self:
            texts = cast(Any, value).values() if isinstance(value, dict) else (value,)
            yield from (text for text in texts if _is_template(text))

    def rendered(self, fill: Fill) -> Self:
        """The same configuration with every template filled in."""
        return self.model_copy(update={name: _rendered(value, fill) for name, value in self})


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and "{" in value


def _rendered(value: Any, fill: Fill) -> Any:
    if isinstance(value, dict):
        return {name: _rendered(entry, fill) for name, entry in cast(Any, value).items()}
    return fill(value) if _is_template(value) else value
