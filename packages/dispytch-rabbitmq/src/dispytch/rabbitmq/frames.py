"""The broker's frames on their way to the driver, so that it can read each of them.

The driver ends the connection at the first message whose properties it cannot decode. Here each
content header reaches it as one that it can: its only property is a table of headers that holds
the bytes of the real ones, which `properties_of` reads where the message is handed out. So it is
with a routing key that is not UTF-8. The frames of a message that comes back keep its id beside
that, by which the driver finds out whose it is.
"""

from asyncio import IncompleteReadError, StreamReader
from hashlib import sha256
from struct import Struct
from typing import Final

from pamqp.header import ContentHeader

from dispytch.rabbitmq.properties import Properties, read_properties

_HEAD: Final = Struct(">BHI")
_END: Final = b"\xce"
_METHOD: Final = 1
_HEADER: Final = 2

_RETURN: Final = b"\x00\x3c\x00\x32"
_DELIVER: Final = b"\x00\x3c\x00\x3c"
_GET_OK: Final = b"\x00\x3c\x00\x47"
_WITH_CONTENT: Final = frozenset((_DELIVER, _RETURN, _GET_OK))

_PROPERTIES: Final = "dispytch.properties"
_ROUTE: Final = "dispytch.route"

_LENGTH: Final = Struct(">I")
_FLAGS: Final = Struct(">H")
_HEADERS_FLAG: Final = 1 << 13
_MESSAGE_ID_FLAG: Final = 1 << 7
_BEFORE_FLAGS: Final = 12


def properties_of(header: ContentHeader) -> tuple[Properties, bytes | None]:
    """The properties of a message, and its routing key where that is not UTF-8."""
    kept = header.properties.headers or {}
    given = kept.get(_PROPERTIES)
    if not isinstance(given, bytearray):
        return _as_they_are(header), None
    route = kept.get(_ROUTE)
    return read_properties(bytes(given)), bytes(route) if isinstance(route, bytearray) else None


def reference(message_id: str) -> str:
    """By what the driver finds out which message has come back: its id, if that is UTF-8."""
    if message_id.isascii():
        return message_id
    raw = message_id.encode("utf-8", "surrogateescape")
    return f"\x00{sha256(raw).hexdigest()}"


class FrameReader:
    """What the driver reads from in place of the connection: one frame after another."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._frame = b""
        self._at = 0
        self._returned: set[int] = set()
        self._routes: dict[int, bytes] = {}

    def at_eof(self) -> bool:
        """Whether nothing more comes."""
        return self._at >= len(self._frame) and self._reader.at_eof()

    async def read(self, count: int = -1) -> bytes:
        """Whatever there is, as it came."""
        left, self._frame, self._at = self._frame[self._at :], b"", 0
        return left or await self._reader.read(count)

    async def readexactly(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            IncompleteReadError: the connection has ended, or a frame is shorter than it says.
        """
        if self._at >= len(self._frame):
            self._frame, self._at = await self._next(), 0
        part = self._frame[self._at : self._at + count]
        self._at += count
        if len(part) < count:
            raise IncompleteReadError(part, count)
        return part

    async def _next(self) -> bytes:
        head = await self._reader.readexactly(_HEAD.size)
        if head.startswith(b"AMQP"):
            return head + await self._reader.readexactly(1)
        kind, channel, size = _HEAD.unpack(head)
        rest = await self._reader.readexactly(size + 1)
        if kind == _HEADER:
            return self._header(channel, rest) or head + rest
        if kind == _METHOD and rest[:4] in _WITH_CONTENT:
            return self._method(channel, rest) or head + rest
        return head + rest

    def _method(self, channel: int, payload: bytes) -> bytes | None:
        """What a message comes with, if its routing key has to be kept from the driver."""
        method = payload[:4]
        (self._returned.add if method == _RETURN else self._returned.discard)(channel)
        self._routes.pop(channel, None)
        try:
            at = _exchange_at(method, payload)
            exchange, after = _short(payload, at)
            key, end = _short(payload, after)
        except IndexError:
            return None
        if _is_utf8(exchange) and _is_utf8(key):
            return None
        self._routes[channel] = key
        return _frame(_METHOD, channel, payload[:at] + b"\x00\x00" + payload[end:-1])

    def _header(self, channel: int, payload: bytes) -> bytes | None:
        if len(payload) <= _BEFORE_FLAGS:
            return None
        given = payload[_BEFORE_FLAGS:-1]
        table = _entry(_PROPERTIES, given)
        if (route := self._routes.pop(channel, None)) is not None:
            table += _entry(_ROUTE, route)
        flags, message_id = _HEADERS_FLAG, b""
        if channel in self._returned:
            flags |= _MESSAGE_ID_FLAG
            raw = reference(read_properties(given).message_id or "").encode()
            message_id = bytes([len(raw)]) + raw
        parts = (payload[:_BEFORE_FLAGS], _FLAGS.pack(flags), _LENGTH.pack(len(table)), table)
        return _frame(_HEADER, channel, b"".join((*parts, message_id)))


def _exchange_at(method: bytes, payload: bytes) -> int:
    """Where the name of the exchange begins, after which comes the routing key."""
    if method == _DELIVER:
        return 4 + 1 + payload[4] + 8 + 1
    if method == _GET_OK:
        return 4 + 8 + 1
    return 4 + 2 + 1 + payload[6]


def _short(payload: bytes, at: int) -> tuple[bytes, int]:
    end = at + 1 + payload[at]
    return payload[at + 1 : end], end


def _is_utf8(raw: bytes) -> bool:
    return raw.isascii() or _decodes(raw)


def _decodes(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _entry(name: str, value: bytes) -> bytes:
    return bytes([len(name)]) + name.encode() + b"x" + _LENGTH.pack(len(value)) + value


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return _HEAD.pack(kind, channel, len(payload)) + payload + _END


def _as_they_are(header: ContentHeader) -> Properties:
    """For headers that came by another way than a `FrameReader`."""
    given = header.properties
    if isinstance(given, Properties):
        return given
    properties = Properties()
    for name, value in given:
        setattr(properties, name, value)
    return properties
