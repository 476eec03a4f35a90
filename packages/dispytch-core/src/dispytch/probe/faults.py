"""Faults that a test asks for."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dispytch.dead_letters import REASON
from dispytch.events import EventBase
from dispytch.exceptions import ConfigurationError, SendError, TransportError
from dispytch.messages import Message

Fault = Exception | type[Exception]
Kind = Literal["emit", "dead letter"]


@dataclass(eq=False, slots=True)
class _Planned:
    error: Fault
    left: int | None

    def use(self) -> Exception | None:
        """The error, if there is one left."""
        if self.left == 0:
            return None
        if self.left is not None:
            self.left -= 1
        return self.error() if isinstance(self.error, type) else self.error


@dataclass(eq=False, slots=True)
class _OfHandler(_Planned):
    names: Collection[str]


@dataclass(eq=False, slots=True)
class _OfSends(_Planned):
    kind: Kind
    model: type[EventBase] | None

    def fits(self, message: Message, event_type: str | None) -> bool:
        """Whether a message is one of those meant."""
        wanted = self.model is None or self.model.__event_type__ == event_type
        return wanted and self.kind == _kind(message)


class Faults:
    """The faults still to come; the first one that was asked for comes first."""

    def __init__(self) -> None:
        self._of_handlers: list[_OfHandler] = []
        self._of_sends: list[_OfSends] = []
        self._caused: list[Exception] = []

    def plan_failure(self, names: Collection[str], error: Fault, times: int | None) -> None:
        """Have the next runs of a handler fail."""
        self._of_handlers.append(_OfHandler(_checked(error), _count(times), names))

    def plan_refusal(
        self, kind: Kind, error: Fault, times: int | None, model: type[EventBase] | None
    ) -> None:
        """Have the next sends be refused.

        Raises:
            ConfigurationError: the error is none that a broker gives.
        """
        kind_of_error = error if isinstance(error, type) else type(error)
        if not issubclass(kind_of_error, TransportError):
            raise ConfigurationError(
                f"a broker refuses with a TransportError, not with {error!r}; there are "
                "BrokerUnreachable, SendTimeout, MessageTooLarge and Unroutable"
            )
        self._of_sends.append(_OfSends(_checked(error), _count(times), kind, model))

    def of_run(self, name: str) -> Exception | None:
        """What the run of a handler that begins now is to fail of."""
        return self._first(fault for fault in self._of_handlers if name in fault.names)

    def check_send(
        self, messages: Sequence[Message], type_of: Callable[[Message], str | None]
    ) -> None:
        """Refuse what is to be refused of a batch.

        Raises:
            SendError: names it; nothing of the batch was sent.
        """
        failures: dict[int, TransportError] = {}
        for index, message in enumerate(messages):
            error = self._first(
                fault for fault in self._of_sends if fault.fits(message, type_of(message))
            )
            if isinstance(error, TransportError):
                failures[index] = error
        if failures:
            raise SendError(failures, len(messages))

    def caused(self, error: BaseException | None) -> bool:
        """Whether an error, or one that it came from, is one that the test has asked for."""
        while error is not None:
            if any(error is one for one in self._caused):
                return True
            error = error.__cause__
        return False

    def _first(self, faults: Iterable[_Planned]) -> Exception | None:
        for fault in faults:
            if (error := fault.use()) is not None:
                self._caused.append(error)
                return error
        return None


def _kind(message: Message) -> Kind | None:
    if message.repeats is None:
        return "emit"
    return "dead letter" if any(name == REASON for name, _ in message.headers) else None


def _checked(error: object) -> Fault:
    if isinstance(error, Exception) or (isinstance(error, type) and issubclass(error, Exception)):
        return error
    raise ConfigurationError(f"a fault is an exception or its class, not {error!r}")


def _count(times: object) -> int | None:
    if times is None or (type(times) is int and times >= 1):
        return times
    raise ConfigurationError(
        f"a fault comes once or more often, or always with None, not {times!r}"
    )
