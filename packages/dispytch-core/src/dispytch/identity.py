"""Who an event is: an id of its own, and when it got it. Made for each event, so it is cheap."""

import time
from collections.abc import Iterator
from os import urandom
from typing import Final

Identity = tuple[str, str]
"""An id, and the time when it was given."""

_BYTES: Final = 16
_DIGITS: Final = 2 * _BYTES

_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The hexadecimal digit that has two bits of the variant in front, for each random one."""

_second = ("", "")


def new_uuid() -> str:
    """A random UUID, version 4 of RFC 9562, with 122 bits from the system's generator.

    A `uuid.UUID` can do more than be written, and takes three times as long.
    """
    return _uuid(urandom(_BYTES).hex())


def new_identities(count: int) -> Iterator[Identity]:
    """So many new ids, with the time of now for all of them: made at once, they cost half."""
    now = utc_now()
    digits = urandom(_BYTES * count).hex()
    for start in range(0, _DIGITS * count, _DIGITS):
        yield _uuid(digits[start : start + _DIGITS]), now


def utc_now() -> str:
    """The time of now, to the microsecond, in RFC 3339 and UTC.

    All but the fraction is written once a second: a `datetime` for each takes four times as long.
    """
    global _second
    digits = str(time.time_ns())  # Until the year 2286, the first ten of them are the seconds.
    known = _second
    if digits[:10] != known[0]:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(digits[:10])))
        # Exchanged as a whole, as other threads may read it.
        known = _second = (digits[:10], text)
    return f"{known[1]}.{digits[10:16]}Z"


def _uuid(digits: str) -> str:
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-"
        f"{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
    )
