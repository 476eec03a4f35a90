"""How a handler's body is made of an event, of whatever version it is."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from dispytch.envelope import Envelope
from dispytch.events import EventBase
from dispytch.exceptions import ConfigurationError, InvalidHandler
from dispytch.routing.registration import Registration
from dispytch.routing.route import Decode
from dispytch.serialization import Bodies
from dispytch.upcasts import Upcasts, chains


def plan_upcasts(registration: Registration, body: Any) -> Mapping[str, Upcasts]:
    """The upcasts that a handler needs, by event type.

    Raises:
        InvalidHandler: they have a gap, or do not lead to the version of the handler's body.
    """
    taken = registration.event
    ours = {one for one in registration.upcasts if taken is None or one.event == taken}
    try:
        found = chains(sorted(ours, key=lambda one: one.from_version))
    except ConfigurationError as error:
        raise InvalidHandler(f"handler {registration.name}: {error}") from error
    if taken is not None and taken in found:
        _check_newest(registration, body, found[taken])
    return found


def decoding(bodies: Bodies, upcasts: Mapping[str, Upcasts]) -> Decode:
    """The way from an envelope to a body; without upcasts, nobody looks at versions."""
    if not upcasts:
        return bodies.decode

    def decode(envelope: Envelope) -> Any:
        chain = upcasts.get(envelope.type or "")
        version = envelope.version or 1
        if chain is None or version == chain.newest:
            return bodies.decode(envelope)
        chain.check(version)
        return bodies.decode_changed(envelope, partial(chain.bring, version=version))

    return decode


def nothing(envelope: Envelope) -> None:
    """The body where no parameter asks for one: none is read."""


def _check_newest(registration: Registration, body: Any, chain: Upcasts) -> None:
    newest = _version(body)
    if newest is not None and newest != chain.newest:
        raise InvalidHandler(
            f"handler {registration.name} takes Event[{body.__qualname__}], whose __version__ is "
            f"{newest}, but the upcasts of {chain.event!r} lead to version {chain.newest}"
        )


def _version(body: Any) -> int | None:
    if isinstance(body, type) and issubclass(body, EventBase):
        return body.__version__
    return None
