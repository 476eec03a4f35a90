"""Emitting events."""

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from pydantic import TypeAdapter

from dispytch.awaitables import awaited
from dispytch.backends import backend_from
from dispytch.connecting import Connect, checked_connect, waiting_producer
from dispytch.events import EventBase, Tombstone
from dispytch.exceptions import (
    AlreadyRunning,
    ConfigurationError,
    NotRunning,
    SendError,
    SendTimeout,
    TransportError,
)
from dispytch.failing import failure_of
from dispytch.loops import HomeLoop
from dispytch.messages import Message
from dispytch.replies import ReplyReader
from dispytch.requests import Requests
from dispytch.schedule import seconds_until
from dispytch.serialization import (
    CloudEvents,
    Codec,
    EventWriter,
    JsonCodec,
    Unresolved,
    WireFormat,
    resolved,
)
from dispytch.serialization.adapters import Unvalidatable, adapter_of, copy_of
from dispytch.serialization.limits import MAX_BODY_BYTES, is_size
from dispytch.signing import Signer, SigningKey
from dispytch.transport import Backend, Producer
from dispytch.unawaited import tracked

TimeoutCallback = Callable[[Any], Awaitable[None] | None]
Callback = TypeVar("Callback", bound=TimeoutCallback)
Reply = TypeVar("Reply")


class EventEmitter:
    """Sends events to a broker, and returns once the broker has them.

    An async context manager: connected inside, closed after. Safe to use from any number of tasks
    at once; events of one topic and key that are emitted one after the other keep their order.

    backend: a URL, or a `Backend`.
    source: who emits, as CloudEvents' attribute of that name.
    wire: the format of the envelope; CloudEvents by default.
    codec: the format of the body; JSON by default.
    connect: ``"fail"``: entering fails while the broker cannot be reached. ``"wait"``: it does not,
        and the emitter connects when it can; until then an emit waits, and fails with
        `BrokerUnreachable` after the backend's send timeout.
    max_body_bytes: a reply to a request whose body is larger is not read, and is a `DecodeError`;
        16 MiB if not given. With None, there is no limit but the broker's.
    signing_key: a request takes no reply but one that is signed with this key, or one of these,
        as a listener with it does; see `EventListener`. Events are not signed.

    It belongs to the event loop in which it is entered; in any other, it raises `NotRunning`.

    Raises:
        ConfigurationError: the backend is not installed, its URL is wrong, or the source is empty.
    """

    def __init__(
        self,
        backend: Backend | str,
        *,
        source: str = "dispytch",
        wire: WireFormat | None = None,
        codec: Codec | None = None,
        connect: Connect = "fail",
        max_body_bytes: int | None = MAX_BODY_BYTES,
        signing_key: SigningKey | Sequence[SigningKey] | None = None,
    ) -> None:
        if not isinstance(source, str) or not source:
            raise ConfigurationError("an emitter's source must say who emits, as CloudEvents asks")
        if not isinstance(wire, WireFormat | None):
            raise ConfigurationError(f"an emitter's wire must be a WireFormat, not {wire!r}")
        if not isinstance(codec, Codec | None):
            raise ConfigurationError(f"an emitter's codec must be a Codec, not {codec!r}")
        if not is_size(max_body_bytes):
            raise ConfigurationError(
                "an emitter's max_body_bytes must be a whole number from 1 on, or None, not "
                f"{max_body_bytes!r}"
            )
        self._backend = backend_from(backend)
        self._connect = checked_connect("EventEmitter", connect)
        self._codec = codec or JsonCodec()
        self._writer = EventWriter(
            wire=wire or CloudEvents(),
            codec=self._codec,
            source=source,
            prefixes=self._backend.features.attribute_prefixes,
            config_type=self._backend.event_config,
        )
        self._source = source
        self._signer = Signer.of("EventEmitter", signing_key, self._backend.features)
        self._replies = ReplyReader(
            prefixes=self._backend.features.attribute_prefixes, max_body_bytes=max_body_bytes
        )
        self._requests: Requests | None = None
        self._on_timeout: TimeoutCallback | None = None
        self._connection: AbstractAsyncContextManager[Producer] | None = None
        self._producer: Producer | None = None
        self._home: HomeLoop | None = None

    @tracked
    async def emit(
        self,
        event: EventBase | Tombstone,
        *,
        delay: timedelta | float | None = None,
        at: datetime | None = None,
    ) -> None:
        """Send one event, or a `Tombstone`; return once the broker has durably taken it.

        delay: how long the broker keeps it back, at least; a number means seconds. Events of
            different delays have no order among each other.
        at: until when it does, with a time zone; a time that has passed means now.

        Raises:
            NotRunning: the emitter is not connected, or in another event loop; nothing was sent.
            ConfigurationError: the backend has no delays, or the time makes no sense; nothing was
                sent.
            InvalidEvent, EncodeError: it cannot be made a message; nothing was sent.
            RegistryUnavailable: the registry of its schema does not answer; nothing was sent.
            TopologyError: the broker cannot have such a topic; nothing was sent.
            MessageTooLarge, Unroutable: the broker refuses it.
            SendTimeout: it may or may not have been taken; see `on_timeout`.
            TransportError: it was not taken, for the reason that the text gives.
        """
        producer = self._connected
        kept_back = seconds_until(self._backend, delay, at)
        try:
            message = self._writer.message(event)
        except Unresolved as missing:
            message = await resolved(lambda: self._writer.message(event), missing)
        try:
            await producer.send([message], delay=kept_back)
        except SendError as error:
            failures = await self._without_timeouts([event], error.failures)
        else:
            return
        for failure in failures.values():
            raise failure from failure.__cause__

    @tracked
    async def emit_many(
        self,
        events: Iterable[EventBase | Tombstone],
        *,
        delay: timedelta | float | None = None,
        at: datetime | None = None,
    ) -> None:
        """Send events as one pipelined batch, in order per topic and key.

        delay, at: as `emit` has them, for all of the events.

        Raises:
            ConfigurationError: the backend has no delays, or the time makes no sense; nothing was
                sent.
            InvalidEvent, EncodeError: one of them cannot be made a message; nothing was sent.
            RegistryUnavailable: the registry of a schema does not answer; nothing was sent.
            TopologyError: the broker cannot have the topic of one of them; nothing was sent.
            SendError: names the index of each event that is not confirmed, with its reason. The
                others are durable.
        """
        producer = self._connected
        kept_back = seconds_until(self._backend, delay, at)
        batch = list(events)
        try:
            messages = self._writer.messages(batch)
        except Unresolved as missing:
            messages = await resolved(lambda: self._writer.messages(batch), missing)
        try:
            await producer.send(messages, delay=kept_back)
        except SendError as error:
            failures = await self._without_timeouts(batch, error.failures)
        else:
            return
        if failures:
            raise SendError(failures, len(batch))

    @overload
    async def request(
        self,
        event: EventBase,
        *,
        reply: type[Reply] | TypeAdapter[Reply],
        timeout: float = ...,
    ) -> Reply: ...

    # For mypy: where a reply is assigned to another type it would go on to the last one, and Any.
    @overload
    async def request(
        self, event: EventBase, *, reply: type[Any] | TypeAdapter[Any], timeout: float = ...
    ) -> object: ...

    @overload
    async def request(self, event: EventBase, *, reply: None, timeout: float = ...) -> None: ...

    @overload
    async def request(self, event: EventBase, *, reply: object, timeout: float = ...) -> Any: ...

    @tracked
    async def request(self, event: EventBase, *, reply: object, timeout: float = 30.0) -> Any:
        """Send one event, and return what its handler answers.

        The first answer counts; see the guide on which handlers answer. Requests may be sent from
        any number of tasks at once, and each gets its own reply. The first one opens the way on
        which replies come, before it is sent.

        A request is handled at least once, like any event: also after a timeout, and maybe twice.

        reply: the type of the answer, anything that pydantic can validate, or a `TypeAdapter`.
        timeout: how many seconds it may take in all.

        Raises:
            ConfigurationError: the backend cannot bring replies, pydantic cannot validate such a
                reply, or the timeout makes no sense; nothing was sent.
            RequestFailed: the handler failed for good; it has the reason, and the error.
            RequestTimeout: no answer in time.
            DecodeError, BodyInvalid: the answer is not of the type ``reply``.
            Any error of `emit`: the request was not sent.
        """
        adapter = _adapter(reply)
        if type(timeout) not in (int, float) or not 0 < timeout < math.inf:
            raise ConfigurationError(f"a request's timeout is positive seconds, not {timeout!r}")
        producer = self._connected
        if self._requests is None:
            self._requests = Requests(self._backend, self._source, self._signer)
        what = f"request {type(event).__qualname__}"
        try:
            message = self._writer.message(event)
        except Unresolved as missing:
            message = await resolved(lambda: self._writer.message(event), missing)
        send = partial(_send_request, producer)
        delivery = await self._requests.ask(message, send, timeout, what)
        return self._replies.value(delivery, adapter, what)

    def on_timeout(self, callback: Callback) -> Callback:
        """Have ``callback(event)``, async or not, take what would raise `SendTimeout`.

        With it, an event that the broker did not confirm in time is the callback's to keep: the
        emit returns as if all were well; when the callback raises, the timeout is raised after all,
        with that as its cause. Usable as a decorator; the last one given counts.
        """
        self._on_timeout = callback
        return callback

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            AlreadyRunning: it is connected already.
            BrokerUnreachable: no connection within the backend's connect timeout; not with
                ``connect="wait"``.
        """
        if self._producer is not None and self._home is not None and not self._home.has_ended:
            raise AlreadyRunning("the emitter is connected already: enter it once, and share it")
        connection = (
            self._backend.producer()
            if self._connect == "fail"
            else waiting_producer(self._backend, name=f"the emitter {self._source!r}")
        )
        self._producer = await connection.__aenter__()
        self._connection = connection
        self._home = HomeLoop("the emitter")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for what is being sent, and close the connection; requests that wait fail."""
        if self._home is not None:
            self._home.check()
        await self.end_requests()
        connection, self._connection, self._producer = self._connection, None, None
        try:
            if connection is not None:
                await connection.__aexit__(kind, error, traceback)
        finally:
            await self._codec.close()

    @classmethod
    def over(
        cls,
        producer: Producer,
        backend: Backend,
        *,
        source: str,
        wire: WireFormat,
        codec: Codec,
        max_body_bytes: int | None = MAX_BODY_BYTES,
        signer: Signer | None = None,
    ) -> Self:
        """An emitter on somebody else's producer, for as long as that is connected."""
        emitter = cls(backend, source=source, wire=wire, codec=codec, max_body_bytes=max_body_bytes)
        emitter._signer = signer
        emitter._producer = producer
        emitter._home = HomeLoop("the emitter")
        return emitter

    async def end_requests(self) -> None:
        """Close the way for replies, if there is one; requests that wait for theirs fail."""
        requests, self._requests = self._requests, None
        if requests is not None:
            await requests.close()

    @property
    def _connected(self) -> Producer:
        if self._producer is None or self._home is None:
            raise NotRunning("the emitter is not connected: use it inside 'async with emitter:'")
        self._home.check()
        return self._producer

    async def _without_timeouts(
        self, events: Sequence[EventBase | Tombstone], failures: dict[int, TransportError]
    ) -> dict[int, TransportError]:
        if self._on_timeout is None:
            return failures
        remaining: dict[int, TransportError] = {}
        for index, failure in failures.items():
            if not isinstance(failure, SendTimeout):
                remaining[index] = failure
                continue
            try:
                await awaited(self._on_timeout(events[index]))
            except BaseException as error:
                remaining[index] = SendTimeout(f"{failure}; and the on_timeout callback failed")
                remaining[index].__cause__ = failure_of(error)
        return remaining


async def _send_request(producer: Producer, message: Message) -> None:
    try:
        await producer.send([message])
    except SendError as error:
        failure = error.failures[0]
        raise failure from failure.__cause__


def _adapter(reply: object) -> TypeAdapter[Any]:
    try:
        return _remembered(reply)
    except TypeError:
        # It is not hashable, as an annotation with a list in it.
        return _made(reply)


def _made(reply: Any) -> TypeAdapter[Any]:
    try:
        # pyright takes the adapter for one of an unknown type.
        return copy_of(reply) if isinstance(reply, TypeAdapter) else adapter_of(reply)  # pyright: ignore[reportUnknownArgumentType]
    except Unvalidatable as error:
        raise ConfigurationError(
            f"pydantic cannot validate a reply as {reply!r}: {error}"
        ) from error


_remembered = lru_cache(maxsize=256, typed=True)(_made)
