"""What the tests ask of a broker that they may start, kill and start again."""

from typing import Protocol


class BrokerUnavailable(Exception):
    """This broker cannot be had here; the text says what is missing and how to get it."""


class Broker(Protocol):
    """A broker of the tests' own.

    All methods block and may be called again: a `start` of a running broker, and a `kill` or
    `stop` of one that does not run, do nothing.
    """

    @property
    def url(self) -> str:
        """Where it listens, as a backend takes it; the same after every `start`."""
        ...

    @property
    def version(self) -> str:
        """Which version runs, for the head of the report."""
        ...

    @property
    def provenance(self) -> str:
        """Where it comes from: a container, a local process, a URL from the environment."""
        ...

    def start(self) -> None:
        """Return once it answers, on the data and the ports that it had before a `kill`.

        Raises:
            BrokerUnavailable: it does not come up.
        """
        ...

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush. The data stays."""
        ...

    def sweep(self) -> None:
        """Have it answer, and delete what the tests have made at it, as far as that is ours to do.

        What is left behind costs every later restart time: after 200 tests, a minute.
        """
        ...

    def stop(self) -> None:
        """End it for good, and with it everything that `start` has brought up."""
        ...
