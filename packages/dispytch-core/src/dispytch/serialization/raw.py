"""Bodies that are bytes or a text, taken as they are."""

from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import TypeAdapter
from typing_extensions import TypeAliasType

from dispytch.exceptions import DecodeError, EncodeError
from dispytch.printable import quoted
from dispytch.serialization.cloudevents_json import parameter
from dispytch.serialization.codec import BodyCodec, Change
from dispytch.serialization.validation import validated

_BINARY: Final = "application/octet-stream"
_TEXT: Final = "text/"


def raw_kind(body: Any) -> type[bytes] | type[str] | None:
    """What a type of bodies is, if it is bytes or a text, or None beside that."""
    if body is bytes or body is str:
        return body
    if isinstance(body, TypeAliasType):
        return raw_kind(body.__value__)
    if hasattr(body, "__supertype__"):
        return raw_kind(body.__supertype__)
    if get_origin(body) is Annotated:
        return raw_kind(get_args(body)[0])
    if get_origin(body) in (Union, UnionType):
        kinds = [one for one in get_args(body) if one is not NoneType]
        return raw_kind(kinds[0]) if len(kinds) == 1 else None
    return None


def is_raw(content_type: str) -> bool:
    """Whether bodies of this content type have no form of their own."""
    bare = content_type.partition(";")[0].strip().lower()
    return bare == _BINARY or bare.startswith(_TEXT)


class RawBody(BodyCodec):
    """Takes a body as it is: a text by the charset that its content type names, or UTF-8."""

    def __init__(
        self, kind: type[bytes] | type[str], adapter: TypeAdapter[Any], content_type: str
    ) -> None:
        self._kind = kind
        self._adapter = adapter
        self._charset = parameter(content_type, "charset") or "utf-8"

    def encode(self, body: Any) -> bytes:
        """Not to be had: events are emitted in the format of a codec.

        Raises:
            EncodeError: always.
        """
        raise EncodeError("a body without a format is read, and never written")

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        """See `BodyCodec.decode`."""
        plain = data if self._kind is bytes else self._text(data)
        return validated(self._adapter, plain if change is None else change(plain))

    def _text(self, data: bytes) -> str:
        try:
            return data.decode(self._charset)
        except (LookupError, ValueError) as error:
            raise DecodeError(
                f"the body is no text of the charset {quoted(self._charset)}"
            ) from error
