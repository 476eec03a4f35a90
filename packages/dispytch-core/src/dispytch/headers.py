"""The headers that dispytch adds to a message that it sends on, apart from the message's own: pure.

Their names begin with ``dispytch-``. They count in the group's own topics alone: its retry topic,
its dead-letter topics, and the topics for replies. Anywhere else a header of such a name is the
producer's, like any other. Where a message with one is sent on, that travels under another name,
behind ``dispytch-data-``, and gets its own name back where it is read.
"""

from collections.abc import Mapping
from typing import Final

from dispytch.messages import CORRELATION_ID, REPLY_TO, Delivery, Header, Headers

PREFIX: Final = "dispytch-"
"""How the names of the headers begin that dispytch adds to a message that it sends on."""

DATA: Final = "dispytch-data-"
"""What stands, in the group's own topics, before a name of the message's own that begins so too."""

_OF_THE_MESSAGE: Final = (REPLY_TO, CORRELATION_ID)
"""Those of a request, which may still be answered."""


def apart(headers: Headers) -> tuple[list[Header], dict[str, bytes]]:
    """What stands in one of the group's own topics: the message's headers, and those added."""
    own: list[Header] = []
    added: dict[str, bytes] = {}
    for name, value in headers:
        if not name.startswith(PREFIX) or name in _OF_THE_MESSAGE:
            own.append((name, value))
        elif name.startswith(DATA):
            own.append((name.removeprefix(DATA), value))
        elif value is not None:
            added[name] = value
    return own, added


def escaped(headers: Headers) -> list[Header]:
    """A message's headers, as they travel through the group's own topics."""
    return [
        (DATA + name, value)
        if name.startswith(PREFIX) and name not in _OF_THE_MESSAGE
        else (name, value)
        for name, value in headers
    ]


def added_to(delivery: Delivery) -> Mapping[str, bytes]:
    """What dispytch has added to a message that came through one of the group's own topics.

    Nothing where it came from any other: what stands there, anybody may have written.
    """
    try:
        return delivery.added
    except AttributeError:
        return {}
