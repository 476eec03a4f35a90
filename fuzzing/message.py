"""Messages as the seeds spell them: lines of headers, an empty line, the value.

``name: value`` is a header, ``name`` alone a header that is null, ``@key: …`` the key,
``@topic: …`` the topic. Without the empty line there is no value: it is null.
"""

from collections.abc import Iterator
from typing import Final

from dispytch.messages import Delivery, Header, Lease, Message

TOPIC: Final = "orders"


def read(data: bytes) -> Message:
    """The message that an input spells."""
    head, separator, value = data.partition(b"\n\n")
    message = Message(TOPIC, value if separator else None)
    headers: list[Header] = []
    for name, content in _lines(head):
        if name == "@key":
            message.key = content
        elif name == "@topic":
            message.topic = (content or b"").decode("utf-8", "replace")
        else:
            headers.append((name, content))
    message.headers = headers
    return message


def delivery(data: bytes) -> Delivery:
    """The same as a consumer receives it."""
    message = read(data)
    lease = Lease(message.topic, f"{message.topic}[0]")
    return Delivery(
        message.topic, message.value, message.key, message.headers, lease, 7, 1_700_000_000_000
    )


def _lines(head: bytes) -> Iterator[Header]:
    for line in head.split(b"\n"):
        name, separator, content = line.partition(b": ")
        if name or separator:
            yield name.decode("utf-8", "surrogateescape"), content if separator else None
