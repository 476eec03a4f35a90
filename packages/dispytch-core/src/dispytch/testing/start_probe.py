"""What the fixture ``dispytch_probe`` is."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dispytch.dependencies.dependency import Provider
from dispytch.listener import EventListener
from dispytch.probe import Pace, Probe


class StartProbe(Protocol):
    """Starts a probe of a listener, which lasts until the test ends."""

    async def __call__(
        self,
        listener: EventListener,
        /,
        *,
        overrides: Mapping[Callable[..., Any], Provider] | None = None,
        clock: Pace = "auto",
        patience: float = 5.0,
    ) -> Probe:
        """A probe that has started; the options are those of `EventListener.test`."""
        ...
