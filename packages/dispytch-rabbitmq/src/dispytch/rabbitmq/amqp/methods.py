"""Methods of AMQP 0-9-1, by the codec of pamqp: all but the few that `frames` writes by hand."""

from pamqp.base import Frame as Method
from pamqp.commands import INDEX_MAPPING
from pamqp.frame import marshal

from dispytch.rabbitmq.amqp.errors import Unmarshallable

__all__ = ["Method", "read_method", "write_method"]


def read_method(payload: bytes) -> Method:
    """Read the payload of a method frame.

    Raises:
        Unmarshallable: it is none, or one that is not known.
    """
    try:
        method: Method = INDEX_MAPPING[int.from_bytes(payload[:4])]()
        method.unmarshal(payload[4:])
    except Exception as error:
        raise Unmarshallable(f"unreadable method {payload[:40]!r}: {error}") from error
    return method


def write_method(channel: int, method: Method) -> bytes:
    """The whole frame of a method."""
    return marshal(method, channel)
