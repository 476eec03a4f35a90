"""Every error of dispytch, in one tree.

    DispytchError
    ├── ConfigurationError          wrong wiring: known, and raised, at start
    │   ├── BackendNotFound         no backend of that name or URL scheme is installed
    │   ├── BackendUnusable         installed, but broken or made for another contract version
    │   ├── InvalidHandler          a handler without topic, or with a signature that cannot work
    │   ├── DependencyError         a parameter that nothing provides, a cycle, a bad generator
    │   ├── InvalidEvent            an event class without topic, type or a template's field
    │   └── TopologyError           a topic or queue that the broker refuses, or that is missing
    ├── TransportError              the broker, or the way to it
    │   ├── BrokerUnreachable       no connection within the time allowed
    │   ├── GroupTaken              another consumer reads what only one may read at a time
    │   ├── SendError               messages that the broker has not confirmed, by index
    │   ├── MessageTooLarge         above the limit of the broker or the client
    │   ├── Unroutable              nobody would have received it
    │   ├── Unsendable              the broker's protocol has no form for it
    │   ├── SendTimeout             no confirmation in time: it may or may not have been taken
    │   └── RegistryUnavailable     a schema registry that does not answer
    ├── SerializationError
    │   ├── EncodeError             a body that the codec cannot turn into bytes
    │   │   └── SchemaRefused       a schema that the registry refuses, or does not have
    │   ├── DecodeError             bytes that the codec cannot read
    │   │   └── Unsigned            what came back to its group without the group's signature
    │   ├── BodyInvalid             a body that its model refuses
    │   └── ParameterInvalid        a header or segment that its parameter's type refuses
    ├── HandlerDecision             raised by a handler, to say what becomes of its event
    │   ├── Reject                  no retry can help: give it up at once
    │   ├── Skip                    nothing to do: it counts as handled
    │   ├── RetryAfter              run the handler again, then
    │   └── Postpone                not now: run the handler later, as if it had not begun
    ├── BatchFailed                 raised by a batch handler: some of its events failed, by index
    ├── RequestError                a request that has no reply to give
    │   ├── RequestFailed           its handler failed for good, and says why
    │   └── RequestTimeout          no reply in time: it may or may not be handled
    ├── NotAwaited                  a call of ours that a handler made and did not await
    ├── HandlerTimeout              a handler that ran longer than its `timeout`
    ├── EventHalted                 a failed event whose failure policy is "halt"
    ├── Unsettled                   a test's events that have no outcome in time
    ├── UnseenFailure               an event that was given up, and its test looked away
    ├── NotRunning                  an operation that needs a running emitter or listener
    └── AlreadyRunning              an emitter or listener that is entered a second time

An error of a driver is never part of the contract: it is chained as ``__cause__``.
"""

from asyncio import Future
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Self, TypeVar

from dispytch.printable import TEXT_LIMIT, described, printable, type_name

E = TypeVar("E", bound="DispytchError")


def reason_of(error: BaseException) -> str:
    """What an error says, or the name of its type where it says nothing. Never raises."""
    return printable(error, TEXT_LIMIT).strip() or type_name(error)


class DispytchError(Exception):
    """The root of every error that dispytch raises.

    It can be copied and pickled whatever its constructor takes, that of a subclass too: what
    comes back has the same class, text and attributes.
    """

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """Make it anew of its state, without its constructor."""
        return _made_again, (type(self), self.args), self._state()

    def _state(self) -> dict[str, Any]:
        """The attributes that a copy has too."""
        # It is the attributes, or these and the slots.
        state: Any = self.__getstate__()
        parts: Any = (state,) if state is None or hasattr(state, "items") else state
        return {name: value for part in parts if part for name, value in part.items()}


def _made_again(kind: type[E], args: tuple[Any, ...]) -> E:
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class ConfigurationError(DispytchError):
    """The program is wired wrongly; raised at start, never at the first message."""


class BackendNotFound(ConfigurationError):
    """No installed backend has this name or URL scheme."""


class BackendUnusable(ConfigurationError):
    """A backend is installed but cannot be used: its import fails or its contract differs."""


class InvalidHandler(ConfigurationError):
    """A handler's registration or signature cannot work."""


class DependencyError(ConfigurationError):
    """A dependency cannot be provided; the text gives the path from the handler to it."""


class InvalidEvent(ConfigurationError):
    """An event class lacks something that is needed to emit it."""


class TopologyError(ConfigurationError):
    """A topic, exchange or queue is refused by the broker, or is missing and may not be made.

    ``topic`` is the topic or pattern that is at fault, where it is a single one.
    """

    def __init__(self, text: str, *, topic: str | None = None) -> None:
        self.topic = topic
        super().__init__(text)


class TransportError(DispytchError):
    """The broker, or the way to it, failed."""


class BrokerUnreachable(TransportError):
    """No usable connection to the broker within the time allowed; the text has the address."""


class GroupTaken(TransportError):
    """Another consumer is reading what only one may read at a time; try again when it has ended."""


class MessageTooLarge(TransportError):
    """A message exceeds the size limit of the broker or the client; it was not taken."""


class Unroutable(TransportError):
    """The broker has nowhere to put the message; it was not taken."""


class Unsendable(TransportError):
    """The broker's protocol has no form for this message, so that it will never be taken."""


class SendTimeout(TransportError):
    """The broker did not confirm in time. It may or may not have taken the message."""


class RegistryUnavailable(TransportError):
    """A schema registry does not answer, or lets nobody in; nothing was sent, nothing is lost.

    ``seconds`` says when to ask again.
    """

    def __init__(self, text: str, seconds: float = 0.5) -> None:
        self.seconds: float = seconds
        super().__init__(text)


class SendError(TransportError):
    """Some messages of a batch are not confirmed by the broker.

    ``failures`` maps the index of each of them, in the batch as it was given, to its error.
    Every message that is not named there is durable at the broker.
    """

    def __init__(self, failures: Mapping[int, TransportError], total: int) -> None:
        self.failures: dict[int, TransportError] = dict(sorted(failures.items()))
        self.total = total
        shown = "; ".join(
            f"#{index}: {printable(error)}" for index, error in list(self.failures.items())[:3]
        )
        more = ", ..." if len(self.failures) > 3 else ""
        others = "; the others are durable" if len(self.failures) < total else ""
        super().__init__(
            f"{len(self.failures)} of {total} messages are not confirmed ({shown}{more}){others}"
        )


class SerializationError(DispytchError):
    """Bytes and bodies that do not turn into each other."""


class EncodeError(SerializationError):
    """A body cannot be written as bytes."""


class SchemaRefused(EncodeError):
    """A schema registry refuses the schema of a body, or does not have it; nothing was sent."""


class DecodeError(SerializationError):
    """Bytes cannot be read; no retry can help."""


class Unsigned(DecodeError):
    """What came back to its group does not have the group's signature; see ``signing_key``."""


class BodyInvalid(SerializationError):
    """A body was read but its model refuses it; no retry can help."""


class ParameterInvalid(SerializationError):
    """What a parameter takes from around the body is missing or refused; no retry can help."""


class HandlerDecision(DispytchError):
    """Raised by a handler, a dependency or a middleware to say what becomes of the event."""


class Reject(HandlerDecision):
    """No retry can help: the event is given up at once, as its failure policy says."""


class Skip(HandlerDecision):
    """There is nothing to do: the event counts as handled, and is settled."""


class RetryAfter(HandlerDecision):
    """Run the handler again after so many seconds, whatever the retry policy says.

    It uses up none of the policy's attempts; only the policy's time limit ends it.

    Raises:
        ValueError: the seconds are negative, or no number.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"RetryAfter takes seconds from now on, not {seconds!r}")
        self.seconds: float = float(seconds)
        self.reason = reason
        super().__init__(f"again in {seconds:g} s" + (f": {reason}" if reason else ""))


class Postpone(HandlerDecision):
    """Not now: run the handler after so many seconds, as if this attempt had not begun.

    For a middleware that limits what runs. The event gives its worker back and waits in place:
    only the events of its key wait behind it. It is no failure: it is no attempt, and counts
    neither for the retry policy and its time limit nor for a circuit breaker. Where the broker
    wants an event back sooner (`Features.hold_limit`), the event waits at the broker instead, and
    others of its key may overtake it.

    until: brings the event back earlier, once it is done or cancelled.

    Raises:
        ValueError: the seconds are negative, or no number.
    """

    def __init__(self, seconds: float, *, until: Future[None] | None = None) -> None:
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"Postpone takes seconds from now on, not {seconds!r}")
        self.seconds: float = float(seconds)
        self.until = until
        super().__init__(f"postponed for {seconds:g} s" + (" at most" if until else ""))

    def _state(self) -> dict[str, Any]:
        # A future is of one process, and of one event loop.
        return {**super()._state(), "until": None}

    def __copy__(self) -> Self:
        """A copy that waits for the same future."""
        again = _made_again(type(self), self.args)
        again.__setstate__(super()._state())
        return again

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As `__copy__`, with everything but the future copied too."""
        memo[id(self.until)] = self.until
        again = _made_again(type(self), self.args)
        again.__setstate__(deepcopy(super()._state(), memo))
        return again


class BatchFailed(DispytchError):
    """Some events of a batch have failed: only they are retried or given up, the others are done.

    Raised by a batch handler, its dependencies or middlewares. ``failures`` maps the index of each
    event that failed, in the list that was handed out, to its error. `Reject`, `Skip` and
    `RetryAfter` mean there what they mean when a handler raises them.

    Raises:
        TypeError, ValueError: there are no failures, or some that are not errors by index.
    """

    def __init__(self, failures: Mapping[int, Exception]) -> None:
        for index, error in failures.items():
            if type(index) is not int or not isinstance(error, Exception):
                raise TypeError(
                    f"BatchFailed takes errors by index, as in {{0: error}}, not {index!r}: "
                    f"{error!r}"
                )
            if isinstance(error, BatchFailed):
                raise TypeError("BatchFailed takes the errors of single events, no BatchFailed")
            if index < 0:
                raise ValueError(f"BatchFailed takes indexes from 0 on, not {index}")
        if not failures:
            raise ValueError("BatchFailed takes at least one failure; return when there is none")
        self.failures: dict[int, Exception] = dict(sorted(failures.items()))
        shown = "; ".join(
            f"#{index}: {described(error)}" for index, error in list(self.failures.items())[:3]
        )
        more = "; ..." if len(self.failures) > 3 else ""
        super().__init__(f"events of a batch have failed: {len(self.failures)} ({shown}{more})")


class RequestError(DispytchError):
    """A request has no reply to give."""


class RequestFailed(RequestError):
    """The handler of a request has failed for good, where it runs.

    reason: ``failed``, its attempts are used up; ``rejected``, it raised `Reject`; ``invalid``, it
        refuses the body; ``undecodable``, it cannot read it; ``skipped``, it raised `Skip`;
        ``unanswerable``, it returned what cannot be sent.
    handler: its module and name. error_type, message: the error's class, with its module, and text.
    """

    def __init__(
        self, request: str, reason: str, handler: str, error_type: str, message: str
    ) -> None:
        self.request = request
        self.reason = reason
        self.handler = handler
        self.error_type = error_type
        self.message = message
        super().__init__(
            f"{request} has failed ({printable(reason)}) in handler {printable(handler)}: "
            f"{printable(error_type)}: {printable(message, TEXT_LIMIT)}"
        )


class RequestTimeout(RequestError):
    """No reply came in time. The request may or may not be handled, now or later."""


class NotAwaited(DispytchError):
    """A handler, or one of its dependencies, called what is async and did not await it.

    Nothing was done then. It is the handler's failure, and no retry can help.
    """


class HandlerTimeout(DispytchError):
    """A handler ran longer than its timeout and was cancelled; counts as a failed attempt."""


class EventHalted(DispytchError):
    """A failed event whose failure policy is ``"halt"``: left unsettled, the listener stopped.

    ``__cause__`` is the error of the handler, or the one that made the event unreadable.
    """


class Unsettled(DispytchError):
    """In a test: events that have no outcome in time; the text says which, and why."""


class UnseenFailure(DispytchError):
    """In a test: an event was given up, and the test did not look; ``__cause__`` is its error."""


class NotRunning(DispytchError):
    """The operation needs an emitter or a listener that is running."""


class AlreadyRunning(DispytchError):
    """An emitter or a listener that runs was entered again: one is entered once, and shared."""
