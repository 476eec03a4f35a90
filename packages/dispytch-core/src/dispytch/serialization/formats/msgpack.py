"""MessagePack.

Source: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from os import urandom
from typing import Any, Final

import pydantic_core
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from dispytch.exceptions import DecodeError, EncodeError
from dispytch.printable import printable
from dispytch.serialization.codec import Codec
from dispytch.serialization.extras import required
from dispytch.serialization.validation import validated

_PAIR: Final = b"\x92"
_MARK: Final = urandom(16)
_END: Final = b"\xc4\x10" + _MARK


class MessagePackCodec(Codec):
    """MessagePack: smaller than JSON, and faster where a body holds many numbers or bytes.

    Bytes are written as bytes, NaN and the infinities as numbers, map keys as they are; whatever
    MessagePack has no type for, as JSON would have it: a date and a UUID as text.

    Needs ``dispytch-core[msgpack]``.

    Raises:
        ConfigurationError: that is not installed.
    """

    content_type = "application/msgpack"
    reads: tuple[str, ...] = ("application/vnd.msgpack", "application/x-msgpack")

    def __init__(self) -> None:
        ormsgpack = required("ormsgpack", extra="msgpack", user="MessagePackCodec")
        self._pack = ormsgpack.packb
        self._unpack = ormsgpack.unpackb
        self._writing: int = ormsgpack.OPT_NON_STR_KEYS | ormsgpack.OPT_PASSTHROUGH_BIG_INT
        self._reading: int = ormsgpack.OPT_NON_STR_KEYS

    def encode(self, adapter: TypeAdapter[Any], body: Any) -> bytes:
        """Write with the field's aliases."""
        try:
            plain = adapter.dump_python(body, by_alias=True)
            packed: bytes = self._pack(plain, default=_jsonable, option=self._writing)
        except (PydanticSerializationError, TypeError, ValueError) as error:
            raise EncodeError(
                f"{type(body).__qualname__} cannot be written as MessagePack: {error}"
            ) from error
        return packed

    def decode(self, adapter: TypeAdapter[Any], data: bytes) -> Any:
        """Read, then validate as pydantic validates Python values. No bytes at all read as null."""
        return validated(adapter, self._plain(data) if data else None)

    def _plain(self, data: bytes) -> Any:
        try:
            # The library stops after the first value. What nobody can guess shows whether that was
            # all there is.
            plain, end = self._unpack(_PAIR + data + _END, option=self._reading)
        except ValueError as error:
            refusal = DecodeError(f"the bytes are not MessagePack: {printable(error)}")
        else:
            if end == _MARK:
                return plain
            refusal = DecodeError("the bytes are not MessagePack: some are left over")
        raise refusal


def _jsonable(value: Any) -> Any:
    if isinstance(value, int):
        raise TypeError(f"the number {value} is out of its range of 64 bits")
    return pydantic_core.to_jsonable_python(value)
