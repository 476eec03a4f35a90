"""Names from the wire that are remembered: by their bytes, and not only by their number.

300 topics, ids or content types of 900 kB are 270 MB. Whatever is kept longer than its event, under
a name that somebody else has chosen, is kept under a short one: pure.
"""

from collections.abc import Hashable
from hashlib import blake2b
from typing import Any, Final, TypeGuard, TypeVar, cast

T = TypeVar("T", bound=Hashable)

LONGEST: Final = 255
"""As long as a name of AMQP can be; those of Kafka's topics have 249 characters."""

_KEPT: Final = 64


def short(name: T) -> T:
    """A name that stands for this one: itself, or its start and a digest of it.

    Texts and bytes are shortened, in tuples too; anything else is as it is. Names that differ have
    short ones that differ.
    """
    kind: type[Any] = type(name)
    if kind is str or kind is bytes:
        return name if is_short(name) else cast("T", _shortened(cast("str | bytes", name)))
    if kind is tuple:
        return cast("T", tuple(map(short, cast("tuple[Hashable, ...]", name))))
    return name


def is_short(name: object) -> TypeGuard[Any]:
    """Whether a text or bytes may be remembered as it is; so may everything else."""
    return not isinstance(name, str | bytes) or len(name) <= LONGEST


def _shortened(name: str | bytes) -> str | bytes:
    data = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name
    digest = blake2b(data, digest_size=32).hexdigest()
    if isinstance(name, str):
        return f"{name[:_KEPT]}#{digest}"
    return name[:_KEPT] + b"#" + digest.encode()
