"""What the wire says about an event, beside its body."""

from dataclasses import dataclass


@dataclass(slots=True)
class Envelope:
    """An event on the wire: its attributes, and its body still in bytes.

    The names are those of CloudEvents 1.0, whatever format the message had. ``type`` is None when
    a foreign producer gave none, and so are ``content_type`` and ``version``, the version of the
    body; ``time`` is an RFC 3339 text. ``data`` is None in a tombstone, which has no body at all.
    ``schema_id`` is what a header beside the body says of its schema, as Confluent's serializers
    write it.
    """

    id: str
    type: str | None
    source: str | None
    time: str | None
    content_type: str | None
    data: bytes | None
    version: int | None = None
    schema_id: bytes | None = None
