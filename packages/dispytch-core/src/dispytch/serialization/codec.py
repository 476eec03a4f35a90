"""Bodies to bytes and back: the contract of a format."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from dispytch.exceptions import SerializationError
from dispytch.serialization.validation import validated

JSON: Final = "application/json"

_QUESTIONS: Final = 10_000
"""As many as a batch may need: one for each topic."""

T = TypeVar("T")

Change = Callable[[Any], Any]
"""What is done with the plain data of a body before it is validated.

It raises `dispytch.exceptions.BodyInvalid` when it cannot be done.
"""


class Unresolved(Exception):
    """Raised in place of a result by a codec that must ask somebody first.

    Whoever called it awaits `resolve` and calls again. That raises `SerializationError` when there
    is no hope for this body, and `RegistryUnavailable` when there is some later. ``about`` is the
    same for all who lack the same.
    """

    def __init__(self, resolve: Callable[[], Awaitable[None]], about: Hashable = None) -> None:
        self.resolve = resolve
        self.about = about
        super().__init__("something has to be asked for first")


async def resolved(attempt: Callable[[], T], missing: Unresolved) -> T:
    """What an attempt returns once all that it lacks has been asked for.

    Raises:
        SerializationError, RegistryUnavailable: as `Unresolved` says, and what the attempt raises.
    """
    for _ in range(_QUESTIONS):
        await missing.resolve()
        try:
            return attempt()
        except Unresolved as another:
            missing = another
    raise SerializationError(f"the codec has asked {_QUESTIONS} times, and asks again")


class BodyCodec(ABC):
    """A codec made ready for one type of body, at start."""

    def for_topic(self, topic: str) -> "BodyCodec":
        """The one that writes to a topic: itself, unless the format looks at topics."""
        return self

    @abstractmethod
    def encode(self, body: Any) -> bytes:
        """The body as bytes.

        Raises:
            EncodeError: the body holds something that the format cannot express.
        """

    @abstractmethod
    def decode(self, data: bytes, change: Change | None = None) -> Any:
        """The body that `data` holds, changed if need be, and validated.

        Raises:
            DecodeError: the bytes are not of this format.
            BodyInvalid: they are, but the body's type refuses what they say.
        """

    def decode_by(self, schema_id: bytes, data: bytes, change: Change | None = None) -> Any:
        """As `decode`, where a header beside the body tells the id of its schema.

        A format without a registry has no use for it.
        """
        return self.decode(data, change)


class Codec(ABC):
    """Writes and reads bodies in one format.

    ``content_type`` is what it writes; it also reads every type of ``reads``. `encode` and `decode`
    are all that a format needs; one that prepares something for each type of body makes a
    `BodyCodec` of its own in `bind`.
    """

    content_type: str
    reads: tuple[str, ...] = ()

    def bind(self, body: Any, adapter: TypeAdapter[Any]) -> BodyCodec:
        """Make it ready for one type of body; called once for each, at start.

        ``body`` is the type as the program has it, ``adapter`` how pydantic validates it.

        Raises:
            ConfigurationError: the format cannot hold such a body; the text says what can be done.
        """
        return BoundCodec(self, adapter)

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

    async def close(self) -> None:  # noqa: B027
        """Let go of what the format holds, as connections; it may be used again after that.

        Called when an emitter or a listener ends, whoever else may be using it.
        """

    def validate(self, adapter: TypeAdapter[Any], plain: Any) -> Any:
        """The body made of plain data, as `decode` with ``Any`` for a type has given it.

        Raises:
            BodyInvalid: the body's type refuses it.
        """
        return validated(adapter, plain)


class BoundCodec(BodyCodec):
    """A codec with an adapter, for a format that prepares nothing."""

    __slots__ = ("_adapter", "_codec")

    def __init__(self, codec: Codec, adapter: TypeAdapter[Any]) -> None:
        self._codec = codec
        self._adapter = adapter

    def encode(self, body: Any) -> bytes:
        """See `BodyCodec.encode`."""
        return self._codec.encode(self._adapter, body)

    def decode(self, data: bytes, change: Change | None = None) -> Any:
        """See `BodyCodec.decode`."""
        if change is None:
            return self._codec.decode(self._adapter, data)
        plain = self._codec.decode(_ANYTHING, data)
        return self._codec.validate(self._adapter, change(plain))


_ANYTHING: Final = TypeAdapter[Any](Any)
