"""What the driver raises, told apart by what may help: the broker's word, or a lost connection."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Self

from aiormq import exceptions as driver

ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
MALFORMED: Final = range(501, 506)
"""The codes for what the broker cannot read, or does not expect."""

_CHANNEL_CODES: Final[dict[type[BaseException], int]] = {
    driver.ChannelAccessRefused: ACCESS_REFUSED,
    driver.ChannelNotFoundEntity: NOT_FOUND,
    driver.ChannelLockedResource: LOCKED,
    driver.ChannelPreconditionFailed: PRECONDITION_FAILED,
}
_CONNECTION_CODES: Final[dict[type[BaseException], int]] = {
    driver.ConnectionFrameError: 501,
    driver.ConnectionSyntaxError: 502,
    driver.ConnectionCommandInvalid: 503,
    driver.ConnectionChannelError: 504,
    driver.ConnectionUnexpectedFrame: 505,
    driver.ConnectionResourceError: 506,
    driver.ConnectionNotAllowed: 530,
    driver.ConnectionNotImplemented: 540,
    driver.ConnectionInternalError: 541,
}


class AmqpError(Exception):
    """A channel or a connection has failed; another one may do better."""


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

    def __reduce__(self) -> tuple[type[Self], tuple[int, str]]:
        """A copy is made of what the constructor takes."""
        return type(self), (self.code, self.text)


class ChannelClosed(ClosedByBroker):
    """The broker closed one channel; its connection lives on."""


class ConnectionClosed(ClosedByBroker):
    """The broker closed the connection."""


@contextmanager
def translated_failures() -> Generator[None]:
    """Raise what the driver raises in this block as an `AmqpError`.

    Time that has run out, and cancellation, pass.
    """
    try:
        yield
    except TimeoutError:
        raise
    except (driver.AMQPError, driver.ChannelInvalidStateError, OSError) as error:
        raise failure(error) from error


def failure(error: BaseException | None) -> AmqpError:
    """What an exception of the driver means; None and cancellation mean that we closed it."""
    match error:
        case AmqpError():
            return error
        case driver.ChannelClosed():
            return _closed(ChannelClosed, _CHANNEL_CODES, error)
        case driver.ConnectionClosed():
            return _closed(ConnectionClosed, _CONNECTION_CODES, error)
        case driver.AMQPError() | OSError() | EOFError():
            return ConnectionLost(f"the connection was lost: {reason(error)}")
        case driver.ChannelInvalidStateError():
            return AmqpError("the channel has ended")
        case Exception():
            # The driver ends a connection on which there are bytes that it cannot read.
            return AmqpError(f"the driver cannot read what the broker sent: {error!r}")
        case _:
            return AmqpError("the channel was closed")


def reason(error: BaseException) -> str:
    """What an exception says of itself, without the driver's own preamble."""
    match error.args:
        case (int(), str(text)):
            return text
        case parts:
            return ", ".join(str(part) for part in parts) or repr(error)


def _closed(
    kind: type[ClosedByBroker], codes: dict[type[BaseException], int], error: BaseException
) -> AmqpError:
    code = codes.get(type(error))
    match error.args:
        case (str(text),) if code is not None:
            return kind(code, text)
        case (int(other), text):
            return kind(other, str(text))
        case _:
            return AmqpError("the channel was closed")
