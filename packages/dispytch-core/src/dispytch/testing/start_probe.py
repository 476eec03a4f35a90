"""What the fixture ``dispytch_probe`` is."""

from typing import Protocol

from dispytch.listener import EventListener
from dispytch.probe import Pace, Probe


class StartProbe(Protocol):
    """Starts a probe of a listener, which lasts until the test ends."""

    async def __call__(
        self, listener: EventListener, /, *, clock: Pace = "auto", patience: float = 5.0
    ) -> Probe:
        """A probe that has started; the options are those of `EventListener.test`."""
        ...
