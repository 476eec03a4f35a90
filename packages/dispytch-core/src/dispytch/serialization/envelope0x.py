"""The JSON envelope of dispytch 0.x."""

from codecs import BOM_UTF8
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import pydantic_core

from dispytch.envelope import Envelope
from dispytch.exceptions import DecodeError, EncodeError
from dispytch.messages import CONTENT_TYPE, Delivery, Headers
from dispytch.printable import printable, quoted
from dispytch.serialization.cloudevents import CloudEvents
from dispytch.serialization.codec import JSON
from dispytch.serialization.wire import Reader, WireFormat, Writer

_FIELDS = frozenset({"id", "type", "body", "timestamp"})

_MILLISECONDS_FROM: Final = 1e11
"""As seconds this is the year 5138, as milliseconds 1973: no event is from either."""


class Envelope0x(WireFormat):
    """Writes ``{"id", "type", "body", "timestamp"}``, with the timestamp in whole milliseconds.

    That is what 0.10 writes and insists on. A timestamp in seconds or in ISO 8601 is read as well,
    and none at all, as 0.9 has it.

    Reads it, and everything that ``otherwise`` reads (CloudEvents by default), so that a topic may
    hold both while a system moves from one to the other.
    """

    def __init__(self, *, otherwise: WireFormat | None = None) -> None:
        self._otherwise = otherwise or CloudEvents()

    def reader(self, prefixes: Sequence[str]) -> Reader:
        """Read the 0.x envelope where the value is one; leave everything else to the other."""
        read_other = self._otherwise.reader(prefixes)
        specversions = {prefix.lower() + "specversion" for prefix in prefixes}

        def read(delivery: Delivery) -> Envelope:
            if specversions.isdisjoint(name.lower() for name, _ in delivery.headers):
                event = _parsed(delivery.value or b"")
                if event is not None:
                    return _envelope(event)
            return read_other(delivery)

        return read

    def writer(self, prefixes: Sequence[str]) -> Writer:
        """Write the 0.x envelope; the body must be JSON."""
        return _write


def _parsed(value: bytes) -> dict[str, Any] | None:
    try:
        event: Any = pydantic_core.from_json(value.removeprefix(BOM_UTF8))
    except ValueError:
        return None
    is_envelope = isinstance(event, dict) and cast(Any, event).keys() | {"timestamp"} == _FIELDS
    return cast("dict[str, Any]", event) if is_envelope else None


def _envelope(event: dict[str, Any]) -> Envelope:
    if not isinstance(event["type"], str):
        raise DecodeError(f"the envelope's type must be a text, not {printable(event['type'])}")
    return Envelope(
        id=str(event["id"]),
        type=event["type"],
        source=None,
        time=_time(event["timestamp"]) if "timestamp" in event else None,
        content_type=JSON,
        data=pydantic_core.to_json(event["body"], inf_nan_mode="constants"),
    )


def _time(timestamp: object) -> str:
    try:
        if isinstance(timestamp, str):
            return datetime.fromisoformat(timestamp).isoformat()
        if isinstance(timestamp, int | float):
            seconds = timestamp / 1000 if abs(timestamp) >= _MILLISECONDS_FROM else timestamp
            return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise DecodeError(
            f"the envelope's timestamp {quoted(timestamp)} is no time: {printable(error)}"
        ) from None
    raise DecodeError(
        f"the envelope's timestamp {printable(timestamp)} is neither a number nor a text"
    )


def _write(envelope: Envelope) -> tuple[bytes | None, Headers]:
    if envelope.data is None:
        # A tombstone has no value, and so no envelope.
        return None, []
    if envelope.content_type != JSON:
        raise EncodeError(f"the 0.x envelope holds JSON only, not {envelope.content_type!r}")
    time = datetime.fromisoformat(envelope.time) if envelope.time else datetime.now(UTC)
    head = pydantic_core.to_json(
        {"id": envelope.id, "type": envelope.type, "timestamp": round(time.timestamp() * 1000)}
    )
    # The body is JSON already: it is set into the envelope as it stands.
    return head[:-1] + b',"body":' + envelope.data + b"}", [(CONTENT_TYPE, JSON.encode())]
