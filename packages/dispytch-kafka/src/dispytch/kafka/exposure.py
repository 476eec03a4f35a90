"""Warnings about a way to the broker that others can listen in on."""

import logging
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

logger: logging.Logger = logging.getLogger("dispytch.kafka")

_told: Final[set[tuple[str, str]]] = set()
_REMEMBERED: Final = 1_000


def warn_of_exposure(
    address: str, hosts: Iterable[str], *, tls: bool, verified: bool, has_credentials: bool
) -> None:
    """Say once for each address what is wrong with the way to it, if anything is."""
    if tls and not verified:
        _tell(
            address,
            "the certificate of Kafka at %s is not checked, so anybody between can read and "
            "change everything: set tls_verify=true, and give tls_cafile if the system does not "
            "know who signed it",
        )
    elif not tls and has_credentials and not all(map(_is_here, hosts)):
        _tell(
            address,
            "the credentials for Kafka at %s travel in plain text, to another host: use TLS, "
            "as with ?tls=true",
        )


def _tell(address: str, text: str) -> None:
    if (address, text) not in _told and len(_told) < _REMEMBERED:
        _told.add((address, text))
        logger.warning(text, address)


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
