"""The event loop that something belongs to."""

import asyncio

from dispytch.exceptions import NotRunning


class HomeLoop:
    """The event loop in which something was connected: nothing else may use it.

    what: how its users know it, as in "the emitter".
    """

    __slots__ = ("_loop", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop = asyncio.get_running_loop()

    @property
    def has_ended(self) -> bool:
        """Whether it is closed, so that nothing of what was connected there can run."""
        return self._loop.is_closed()

    def check(self) -> None:
        """See that this runs in that event loop.

        Raises:
            NotRunning: in another one, in none, or it is closed.
        """
        try:
            if asyncio.get_running_loop() is self._loop:
                return
        except RuntimeError:
            pass
        if self.has_ended:
            raise NotRunning(
                f"{self._what} was connected in an event loop that has ended; enter it anew in "
                "each event loop, as in asyncio.run(main()) with 'async with' inside of main"
            )
        raise NotRunning(
            f"{self._what} belongs to another event loop than the one that runs here; from "
            "another thread, use asyncio.run_coroutine_threadsafe(..., loop) with its loop, or "
            "enter one of its own there"
        )
