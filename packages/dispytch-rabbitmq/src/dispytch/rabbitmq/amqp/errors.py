"""What ends a channel or a connection."""

ACCESS_REFUSED = 403
NOT_FOUND = 404
PRECONDITION_FAILED = 406
NOT_ALLOWED = 530
MALFORMED = range(501, 506)
"""The codes for what the broker cannot read, or does not expect."""


class AmqpError(Exception):
    """The root of what this client raises."""


class ConnectionLost(AmqpError):
    """The connection ended without a word from the broker."""


class ClosedByBroker(AmqpError):
    """The broker closed a channel or a connection and said why.

    ``code`` is the reply code of AMQP 0-9-1, ``text`` the broker's own words.
    """

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{text} ({code})")


class ChannelClosed(ClosedByBroker):
    """The broker closed one channel; its connection lives on."""


class ConnectionClosed(ClosedByBroker):
    """The broker closed the connection."""


class ClosedByUs(AmqpError):
    """The channel or connection was closed from this side."""


class Unmarshallable(AmqpError):
    """Bytes from the broker that are no frame of AMQP 0-9-1."""
