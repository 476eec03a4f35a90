"""The choice of a codec by content type, and bodies read with it."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from pydantic import TypeAdapter

from dispytch.envelope import Envelope
from dispytch.exceptions import DecodeError
from dispytch.printable import quoted
from dispytch.serialization.codec import BodyCodec, Change, Codec
from dispytch.serialization.formats.json import JsonCodec
from dispytch.serialization.raw import RawBody, is_raw, raw_kind
from dispytch.serialization.validation import validated
from dispytch.short_names import is_short

_REMEMBERED: Final = 256
"""How many spellings of content types are kept in mind; foreign producers may invent more."""


class Codecs:
    """The codecs of a listener; the first one writes, and reads what names no content type.

    A content type's parameters are left aside, and ``application/vnd.acme+json`` is JSON. The
    codec that writes a type is asked before those that only read it.
    """

    def __init__(self, codecs: Iterable[Codec] = (JsonCodec(),)) -> None:
        self.all: Final = tuple(codecs)
        self.writer: Final = self.all[0]
        self._by_type: dict[str | None, Codec] = {None: self.writer}

    def reading(self, content_type: str | None) -> Codec:
        """The codec for a content type as it stands on the wire; None when there stands none.

        Raises:
            DecodeError: none of the codecs reads it; the text names those there are.
        """
        codec = self._by_type.get(content_type)
        return codec if codec is not None else self._find(content_type or "")

    def _find(self, content_type: str) -> Codec:
        bare = content_type.partition(";")[0].strip().lower()
        suffix = f"application/{bare.rpartition('+')[2]}" if "+" in bare else bare
        wanted = {bare, suffix}
        written = (codec for codec in self.all if codec.content_type in wanted)
        read = (codec for codec in self.all if wanted.intersection(codec.reads))
        codec = next(written, None) or next(read, None)
        if codec is None:
            raise DecodeError(
                f"no codec reads the content type {quoted(content_type)}; there are: "
                + ", ".join(codec.content_type for codec in self.all)
            )
        if len(self._by_type) < _REMEMBERED and is_short(content_type):
            self._by_type[content_type] = codec
        return codec


class Bodies:
    """Bodies of one type, read with whichever codec a message's content type asks for.

    Bytes and texts are taken as they are where no codec reads ``application/octet-stream`` or
    ``text/plain``.

    Raises:
        ConfigurationError: one of the codecs cannot hold such a body.
    """

    def __init__(self, codecs: Codecs, body: Any, adapter: TypeAdapter[Any]) -> None:
        self._codecs = codecs
        self._adapter = adapter
        self._bound = {codec: codec.bind(body, adapter) for codec in codecs.all}
        self._raw = raw_kind(body)
        self._decoders: dict[str | None, Callable[[bytes], Any]] = {}

    def decode(self, envelope: Envelope) -> Any:
        """The body of an event; that of a tombstone is None, in every format.

        Raises:
            DecodeError, BodyInvalid: it cannot be had from these bytes.
            Unresolved: somebody has to be asked first.
        """
        data = envelope.data
        if data is None:
            return validated(self._adapter, None)
        if envelope.schema_id is not None:
            return self._find(envelope.content_type).decode_by(envelope.schema_id, data)
        decode = self._decoders.get(envelope.content_type)
        if decode is None:
            decode = self._find(envelope.content_type).decode
        return decode(data)

    def decode_changed(self, envelope: Envelope, change: Change) -> Any:
        """As `decode`, with a change of the plain data before it is validated."""
        if envelope.data is None:
            # There is nothing in it that could be changed.
            return validated(self._adapter, None)
        codec = self._find(envelope.content_type)
        if envelope.schema_id is not None:
            return codec.decode_by(envelope.schema_id, envelope.data, change)
        return codec.decode(envelope.data, change)

    def _find(self, content_type: str | None) -> BodyCodec:
        codec = self._for(content_type)
        if len(self._decoders) < _REMEMBERED and is_short(content_type):
            self._decoders[content_type] = codec.decode
        return codec

    def _for(self, content_type: str | None) -> BodyCodec:
        try:
            return self._bound[self._codecs.reading(content_type)]
        except DecodeError:
            if self._raw is None or content_type is None or not is_raw(content_type):
                raise
            return RawBody(self._raw, self._adapter, content_type)
