"""Wire formats: how the attributes of an event travel with its body."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from dispytch.envelope import Envelope
from dispytch.messages import Delivery, Headers

Reader = Callable[[Delivery], Envelope]
Writer = Callable[[Envelope], tuple[bytes | None, Headers]]


class WireFormat(ABC):
    """Reads and writes the envelope of an event.

    Made once, then compiled for a backend: ``prefixes`` are those that the backend's `Features`
    declare for attributes among the headers; the first is written, all are read.
    """

    @abstractmethod
    def reader(self, prefixes: Sequence[str]) -> Reader:
        """A function that reads a delivery's envelope.

        It raises `dispytch.exceptions.DecodeError` when the message is not of this format.
        """

    @abstractmethod
    def writer(self, prefixes: Sequence[str]) -> Writer:
        """A function that gives the value and the headers of a message for an envelope."""
