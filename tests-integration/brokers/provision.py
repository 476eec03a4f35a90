"""Getting brokers: in a container, else as a local process, else one that a URL names.

``TEST_BROKERS=container``, ``local`` or ``url`` asks for one of these ways alone. With
``REQUIRE_BROKERS=1`` a broker that cannot be had fails the tests that need it. Where tests run in
several processes, each has brokers of its own; but those that a URL names are one for all.
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

    def sweep(self) -> None:
        """What is there may be somebody else's."""

    def stop(self) -> None:
        """See the class."""


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


class Provision:
    """One broker for a run of the tests: chosen before they begin, started when it is needed.

    ways: how it may be had, by kind; the first that works is taken.
    """

    def __init__(self, name: str, ways: dict[str, Way]) -> None:
        self.name = name
        wanted = os.environ.get("TEST_BROKERS")
        self._ways = [(kind, way) for kind, way in ways.items() if wanted in (None, "", kind)]
        self._reasons = [] if self._ways else [f"TEST_BROKERS={wanted} names no way to get it"]
        self._chosen: Broker | None = None
        self._running = False
        self.missed: str | None = None
        """What was said when a test asked for it, and it could not be had."""

    @property
    def what(self) -> str:
        """Which broker it is, or why there is none."""
        broker = self._choose()
        if broker is None:
            return f"{self.name}: NONE ({'; '.join(self._reasons)})"
        return f"{self.name}: {broker.version} ({broker.provenance})"

    def running(self) -> Iterator[Broker]:
        """The body of a fixture: the broker, running; it ends with the fixture."""
        while (broker := self._choose()) is not None:
            try:
                broker.start()
            except BrokerUnavailable as reason:
                self._reasons.append(str(reason))
                self._chosen = None
            else:
                self._running = True
                try:
                    yield broker
                finally:
                    self._running = False
                    broker.stop()
                return
        self.missed = self.what
        if required():
            pytest.fail(f"required, and cannot be had: {self.what}", pytrace=False)
        pytest.skip(f"cannot be had: {self.what}")

    def sweep(self) -> None:
        """Have nothing left at the broker, if it runs, of the tests so far."""
        if self._running and self._chosen is not None:
            self._chosen.sweep()

    def _choose(self) -> Broker | None:
        while self._chosen is None and self._ways:
            kind, way = self._ways.pop(0)
            try:
                self._chosen = way()
            except BrokerUnavailable as reason:
                self._reasons.append(f"{kind}: {reason}")
        return self._chosen
