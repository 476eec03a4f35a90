"""Bodies to bytes and back, chosen by content type."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from dispytch.exceptions import BodyInvalid, DecodeError, EncodeError

JSON = "application/json"

_COMPLAINTS_SHOWN = 5


class Codec(ABC):
    """Writes and reads bodies in one format.

    ``content_type`` is what it writes; it also reads every type of `reads`.
    """

    content_type: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        """The body as bytes.

        Raises:
            EncodeError: the body holds something that the format cannot express.
        """

    @abstractmethod
    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        """The body that `data` holds, validated.

        Raises:
            DecodeError: the bytes are not of this format.
            BodyInvalid: they are, but the body's type refuses what they say.
        """


class JsonCodec(Codec):
    """JSON, as pydantic writes and reads it: validated straight from the bytes."""

    content_type = JSON
    reads = ("text/json",)

    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        """Write with the field's aliases, as pydantic's own JSON mode does."""
        try:
            return adapter.dump_json(body, by_alias=True)
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            raise EncodeError(
                f"{type(body).__qualname__} cannot be written as JSON: {error}"
            ) from error

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        """Read and validate in one step.

        No bytes at all read as null: a CloudEvent without data, a tombstone of a compacted topic.
        """
        try:
            return adapter.validate_json(data or b"null")
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            # A string in the body that should hold JSON is refused with the same type of error.
            if first["type"] == "json_invalid" and not first["loc"]:
                raise DecodeError(f"the bytes are not JSON: {first['msg']}") from error
            raise BodyInvalid(f"the body is refused: {_complaints(error)}") from error
        except Exception as error:
            raise BodyInvalid(
                f"a validator of the body failed: {type(error).__name__}: {error}"
            ) from error


def _complaints(error: ValidationError) -> str:
    """Where and why, in one line; never the values, which may be anybody's secrets."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    shown = [f"{_path(one['loc'])}{one['msg']}" for one in found[:_COMPLAINTS_SHOWN]]
    more = len(found) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) + ": " if location else ""


class Codecs:
    """The codecs of a listener or an emitter; the first one writes.

    A content type's parameters are left aside, and ``application/vnd.acme+json`` is JSON.
    """

    def __init__(self, codecs: Iterable[Codec] = (JsonCodec(),)) -> None:
        self._codecs = tuple(codecs)
        self.writer = self._codecs[0]
        self._by_type: dict[str, Codec] = {}

    def reading(self, content_type: str) -> Codec:
        """The codec for a content type as it stands on the wire.

        Raises:
            DecodeError: none of the codecs reads it; the text names those there are.
        """
        codec = self._by_type.get(content_type)
        return codec if codec is not None else self._find(content_type)

    def _find(self, content_type: str) -> Codec:
        bare = content_type.partition(";")[0].strip().lower()
        suffix = f"application/{bare.rpartition('+')[2]}" if "+" in bare else bare
        for codec in self._codecs:
            if {bare, suffix} & {codec.content_type, *codec.reads}:
                if len(self._by_type) < 256:
                    self._by_type[content_type] = codec
                return codec
        known = ", ".join(codec.content_type for codec in self._codecs)
        raise DecodeError(f"no codec reads the content type {content_type!r}; there are: {known}")
