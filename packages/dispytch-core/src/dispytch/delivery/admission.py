"""From a delivery to the handlers that take it, and to the body that each of them asks for.

All that a stranger has sent is read here, and nowhere else: by a wire format, a codec, a validator
or an upcast, of ours or of others. Whatever they raise is about this one delivery, and leaves as a
`SerializationError`: nothing that can be sent reaches the workers, or ends them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from dispytch.clock import Clock
from dispytch.delivery.aftermath import first_attempt
from dispytch.delivery.attempt import Attempt
from dispytch.delivery.lookups import Lookups
from dispytch.envelope import Envelope
from dispytch.exceptions import DecodeError, RegistryUnavailable, SerializationError
from dispytch.messages import Delivery, Undecodable
from dispytch.redelivery import Redelivery, returned
from dispytch.routing import Batching, Route, Router
from dispytch.serialization import Unresolved, refusal_of
from dispytch.serialization.wire import Reader

Admitted = tuple[Sequence[Route], Envelope]
"""The routes that take an event, and its envelope; no routes where nobody takes its type."""


class Admission:
    """Reads deliveries, and finds their routes.

    max_body_bytes: what is larger is not parsed; None: there is no limit.
    check: raises `Unsigned` for a delivery that has come back to the group without its signature;
        None: there are no signatures.
    """

    def __init__(
        self,
        *,
        read: Reader,
        router: Router,
        lookups: Lookups,
        clock: Clock,
        max_body_bytes: int | None = None,
        check: Callable[[Delivery], None] | None = None,
    ) -> None:
        self._read = read
        self._check = check
        self._limit: float = inf if max_body_bytes is None else max_body_bytes
        self._router = router
        self._lookups = lookups
        self._clock = clock

    def admit(self, delivery: Delivery) -> Admitted | None:
        """Who takes a delivery; None where it came with what a pattern is for, and is for no one.

        Raises:
            SerializationError: it cannot be read.
        """
        try:
            if isinstance(delivery, Undecodable):
                raise DecodeError(delivery.reason)
            table = self._router.table(delivery)
            if table is None:
                return None
            value = delivery.value
            if value is None or len(value) <= self._limit:
                envelope = self._read(delivery)
            else:
                envelope = self._read_around(delivery, value)
            return table.by_type.get(envelope.type, table.of_any), envelope
        except BaseException as error:
            refusal = refusal_of(error, "the event cannot be read")
        raise refusal

    def returned(self, delivery: Delivery) -> tuple[Sequence[Attempt], Redelivery, Envelope]:
        """What a delivery is owed that has come back to the group; no attempts: nobody is there.

        It has the topic from then on that it came from first.

        Raises:
            SerializationError: it cannot be read.
        """
        try:
            if isinstance(delivery, Undecodable):
                raise DecodeError(delivery.reason)
            if self._check is not None:
                self._check(delivery)
            returned(delivery)
            redelivery = Redelivery.of(delivery)
            delivery.topic = redelivery.topic
            envelope = self._envelope(delivery)
            routes: Sequence[Route] = self._router.find(delivery.topic, envelope.type)
            if redelivery.handler is not None:
                routes = [route for route in routes if route.name == redelivery.handler]
            attempts = [first_attempt(route, redelivery, self._clock) for route in routes]
            return attempts, redelivery, envelope
        except BaseException as error:
            refusal = refusal_of(error, "the event cannot be read")
        raise refusal

    def again(self, delivery: Delivery) -> Envelope:
        """The envelope of a delivery that was admitted before.

        Raises:
            SerializationError: it cannot be read this time.
        """
        try:
            return self._envelope(delivery)
        except BaseException as error:
            refusal = refusal_of(error, "the event cannot be read")
        raise refusal

    def body(self, route: Route, envelope: Envelope) -> Any:
        """The body, as a handler asks for it.

        Raises:
            SerializationError: it cannot be had.
            Unresolved: it can, by `looked_up`.
        """
        try:
            data = envelope.data
            if data is not None and len(data) > self._limit and route.reads_body:
                raise self._too_large(data)
            return route.decode(envelope)
        except Unresolved:
            raise
        except BaseException as error:
            refusal = refusal_of(error, "the body cannot be read")
        raise refusal

    async def looked_up(self, route: Route, envelope: Envelope, missing: Unresolved) -> Any:
        """The body, once somebody was asked for what is missing.

        Raises:
            SerializationError: it cannot be had.
            RegistryUnavailable: nobody answers.
        """
        try:
            return await self._lookups.read(lambda: route.decode(envelope), missing)
        except RegistryUnavailable:
            raise
        except BaseException as error:
            refusal = refusal_of(error, "the body cannot be read")
        raise refusal

    def batching_of(self, delivery: Delivery) -> Batching | None:
        """Of the handler that takes a delivery in batches; None: it is handled by itself.

        What cannot be read is handled by itself, too.
        """
        try:
            table = self._router.table(delivery)
        except BaseException as error:
            refusal_of(error, "the event cannot be read")
            return None
        return None if table is None else table.batching

    def route_of(self, topic: str, event_type: str | None) -> Route:
        """The route of an event that was admitted for one handler."""
        return self._router.find(topic, event_type)[0]

    def topic_name(self, delivery: Delivery, redelivery: Redelivery | None = None) -> str | None:
        """What stands for the topics of the handlers that may take it; None where there are none.

        See `dispytch.topics.one_name`. A name that no handler here has is never taken from what an
        event that came back says of itself.
        """
        named = None if redelivery is None else redelivery.handler_topic
        if named in {route.topic_name for route in self._router.routes}:
            return named
        try:
            table = self._router.table(delivery)
        except BaseException as error:
            refusal_of(error, "the event cannot be read")
            return None
        return None if table is None else table.topic_name

    def _envelope(self, delivery: Delivery) -> Envelope:
        value = delivery.value
        if value is None or len(value) <= self._limit:
            return self._read(delivery)
        return self._read_around(delivery, value)

    def _read_around(self, delivery: Delivery, value: bytes) -> Envelope:
        """The envelope of a delivery whose value is too large to be parsed: by its headers alone.

        Whoever asks for no body takes it all the same.

        Raises:
            DecodeError: they do not say what it is.
        """
        bare = Delivery(
            delivery.topic,
            b"",
            delivery.key,
            delivery.headers,
            delivery.lease,
            delivery.position,
            delivery.timestamp_ms,
        )
        try:
            envelope = self._read(bare)
        except SerializationError:
            envelope = None
        if envelope is None or envelope.type is None:
            raise self._too_large(value)
        return replace(envelope, data=value)

    def _too_large(self, value: bytes) -> DecodeError:
        return DecodeError(
            f"it has {len(value)} bytes, more than max_body_bytes={self._limit}, and is not read; "
            "set a larger limit where such events are wanted, then replay it"
        )
