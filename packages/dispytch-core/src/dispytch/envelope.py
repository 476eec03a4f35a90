"""What the wire says about an event, beside its body."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

_NONE: Final[Mapping[str, str]] = MappingProxyType({})

ATTRIBUTE_PREFIXES: Final = ("ce_", "ce-", "cloudevents_", "cloudevents:")
"""What the attributes of CloudEvents begin with among the headers, on whatever broker."""


@dataclass(slots=True)
class Envelope:
    """An event on the wire: its attributes, and its body still in bytes.

    The names are those of CloudEvents 1.0, whatever format the message had. ``type`` is None when
    a foreign producer gave none, and so are ``content_type`` and ``version``, the version of the
    body; ``time`` is an RFC 3339 text. ``data`` is None in a tombstone, which has no body at all.
    ``schema_id`` is what a header beside the body says of its schema, as Confluent's serializers
    write it. ``others`` are the attributes that have no field here, by their names in lower case;
    None if it is no CloudEvent.
    """

    id: str
    type: str | None
    source: str | None
    time: str | None
    content_type: str | None
    data: bytes | None
    version: int | None = None
    schema_id: bytes | None = None
    others: Mapping[str, str] | None = field(default=None, compare=False)

    @property
    def attributes(self) -> Mapping[str, str]:
        """All of its attributes as a CloudEvent; none if it is no CloudEvent."""
        if self.others is None:
            return _NONE
        known = {
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time,
            "datacontenttype": self.content_type,
        }
        return {**{name: text for name, text in known.items() if text is not None}, **self.others}


def attribute_named(header: str) -> str | None:
    """The attribute that a header of this name would hold, on any broker; None if it is no such."""
    name = header.lower()
    return next(
        (name[len(one) :] or None for one in ATTRIBUTE_PREFIXES if name.startswith(one)), None
    )


def time_of(text: str) -> datetime:
    """The time that an RFC 3339 text says; without an offset, which that demands, it is UTC.

    Raises:
        ValueError: it says none.
    """
    if text[4:8:3] != "--" or text[13:17:3] != "::" or text[10] not in "Tt ":
        raise ValueError("it is not like 2026-01-31T12:00:00Z")
    time = _parsed(text if text.isupper() else text.upper())
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _parsed(text: str) -> datetime:
    if text[17:19] != "60":
        return datetime.fromisoformat(text)
    # A leap second, for which datetime has no place.
    try:
        return datetime.fromisoformat(f"{text[:17]}59{text[19:]}") + timedelta(seconds=1)
    except OverflowError as error:
        raise ValueError("it is beyond the calendar") from error
