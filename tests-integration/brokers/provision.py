"""Getting brokers: in a container, else as a local process, else one that a URL names.

``TEST_BROKERS=container``, ``local`` or ``url`` asks for one of these ways alone. With
``REQUIRE_BROKERS=1`` a broker that cannot be had fails the tests that need it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from brokers.broker import Broker, BrokerUnavailable

Way = Callable[[], Broker]


@dataclass(frozen=True)
class UrlBroker:
    """A broker that somebody else runs: it is used, and never killed or stopped."""

    url: str
    version: str = "unknown"
    provenance: str = "URL from the environment"

    def start(self) -> None:
        """It runs already."""

    def kill(self) -> None:
        """See the class."""
        pytest.skip("this test kills its broker; it needs one of its own, not a URL")

    def stop(self) -> None:
        """See the class."""


had: dict[str, str] = {}
"""Which brokers were used, by name, and what they were: for the report."""

skipped: dict[str, str] = {}
"""Which brokers could not be had, and why: for the report."""


def provided(name: str, ways: dict[str, Way]) -> Iterator[Broker]:
    """The body of a fixture: a running broker, got in the first of these ways that works."""
    broker = _first_that_runs(name, ways)
    had[name] = f"{broker.version} ({broker.provenance})"
    try:
        yield broker
    finally:
        broker.stop()


def required() -> bool:
    """Whether a missing broker is a failure."""
    return os.environ.get("REQUIRE_BROKERS", "") not in ("", "0")


def from_url(variable: str) -> Way:
    """A broker whose URL stands in an environment variable."""

    def way() -> Broker:
        url = os.environ.get(variable)
        if not url:
            raise BrokerUnavailable(f"{variable} is not set")
        return UrlBroker(url)

    return way


def _first_that_runs(name: str, ways: dict[str, Way]) -> Broker:
    wanted = os.environ.get("TEST_BROKERS")
    reasons: list[str] = []
    for kind, way in ways.items():
        if wanted in (None, "", kind):
            try:
                broker = way()
                broker.start()
                return broker
            except BrokerUnavailable as reason:
                reasons.append(f"{kind}: {reason}")
    skipped[name] = "; ".join(reasons) or f"TEST_BROKERS={wanted} names no way to get it"
    if required():
        pytest.fail(f"{name} is required and cannot be had: {skipped[name]}", pytrace=False)
    pytest.skip(f"{name} cannot be had: {skipped[name]}")
