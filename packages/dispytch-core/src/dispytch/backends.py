"""The registry: from a URL or a name to a backend, through entry points."""

import re
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from dispytch.exceptions import BackendNotFound, BackendUnusable, ConfigurationError
from dispytch.transport import CONTRACT_VERSION, Backend

GROUP: Final = "dispytch.backends"
"""The entry-point group; an entry's name is the backend's name and its URL scheme."""

_OURS: Final = {
    "kafka": "dispytch-core[kafka]",
    "rabbitmq": "dispytch-core[rabbitmq]",
    "rabbitmqs": "dispytch-core[rabbitmq]",
    "amqp": "dispytch-core[rabbitmq]",
    "amqps": "dispytch-core[rabbitmq]",
}
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_registered: Final[dict[str, type[Backend]]] = {}


def register(name: str, backend: type[Backend]) -> None:
    """Make a backend known in this process, before any entry point of that name: for tests."""
    _registered[name] = _checked(name, backend)


def installed() -> list[str]:
    """The names of all backends that can be asked for here, sorted. Imports none of them."""
    return sorted({*_registered, *(entry.name for entry in entry_points(group=GROUP))})


def backend_class(name: str) -> type[Backend]:
    """The backend of that name, imported now if it was not yet.

    Raises:
        BackendNotFound: it is not installed; the text says what is, and what to install.
        BackendUnusable: it is, but its import fails or it was made for another contract.
    """
    found = _registered.get(name)
    if found is not None:
        return found
    entries = entry_points(group=GROUP, name=name)
    if not entries:
        raise BackendNotFound(_not_found(name))
    backend = _load(_only(name, tuple(entries)))
    _registered[name] = backend
    return backend


def backend_from(given: Backend | str) -> Backend:
    """The backend itself, or the one that a URL or a bare backend name asks for.

    Raises:
        ConfigurationError: neither of them, or a URL that the backend refuses.
    """
    if isinstance(given, Backend):
        _checked(type(given).__qualname__, type(given))
        return given
    if not isinstance(given, str) or not given:
        raise ConfigurationError(
            "a backend is a URL such as 'kafka://localhost:9092', or a Backend object, "
            f"not {given!r}"
        )
    name, separator, _ = given.partition("://")
    if not _NAME.fullmatch(name):
        # It may hold a password: the text leaves it out.
        raise ConfigurationError(
            "a backend's URL starts with its name and '://', as in 'kafka://localhost:9092'; "
            f"there are: {_known()}"
        )
    return backend_class(name.lower()).from_url(given if separator else f"{given}://")


def _only(name: str, entries: Sequence[EntryPoint]) -> EntryPoint:
    """The one entry; one distribution may be found in two places of the path."""
    claims = {(_origin(entry), entry.value): entry for entry in entries}
    if len(claims) > 1:
        claimants = " and ".join(f"{origin} ({value})" for origin, value in sorted(claims))
        raise BackendUnusable(
            f"the backend {name!r} is claimed by {claimants}: uninstall all but one of them, or "
            "hand a Backend object over in place of the URL"
        )
    return entries[0]


def _origin(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown distribution"


def _load(entry: EntryPoint) -> type[Backend]:
    try:
        backend = entry.load()
    except Exception as error:
        raise BackendUnusable(
            f"the backend {entry.name!r} of {_origin(entry)} cannot be imported from "
            f"{entry.value}: {type(error).__name__}: {error}; install it again, with its driver"
        ) from error
    return _checked(entry.name, backend)


def _checked(name: str, backend: object) -> type[Backend]:
    if not (isinstance(backend, type) and issubclass(backend, Backend)):
        raise BackendUnusable(f"the backend {name!r} is no dispytch.transport.Backend: {backend!r}")
    if backend.contract != CONTRACT_VERSION:
        older = "the backend" if backend.contract < CONTRACT_VERSION else "dispytch-core"
        raise BackendUnusable(
            f"the backend {name!r} ({backend.__module__}) speaks contract version "
            f"{backend.contract}, this dispytch-core speaks {CONTRACT_VERSION}; upgrade {older}"
        )
    return backend


def _not_found(name: str) -> str:
    remedy = _OURS.get(name)
    hint = (
        f"pip install '{remedy}'"
        if remedy
        else "install the distribution that provides it (ours: dispytch-core[kafka], "
        "dispytch-core[rabbitmq])"
    )
    return f"no backend {name!r} is installed; there are: {_known()}; {hint}"


def _known() -> str:
    return ", ".join(installed()) or "none"
