"""What a middleware keeps from one run to the next, for each service's time."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from dispytch.clock import service_time

S = TypeVar("S")


class Kept(Generic[S]):
    """One state for every clock that a middleware runs by: a time of one is none of another's.

    Services of one process go by one clock, and share a state. A service under test has a clock,
    and so a state, of its own: it finds nothing of the tests before, and leaves nothing behind.

    make: makes a new state; it must not refer to the clock.
    clock: gives seconds, from any start on; None: the one of the service that runs.
    """

    def __init__(self, make: Callable[[], S], clock: Callable[[], float] | None) -> None:
        self._make = make
        self._clock = clock
        self._states: WeakKeyDictionary[object, S] = WeakKeyDictionary()

    @property
    def all(self) -> list[S]:
        """Every state, whatever its clock."""
        return list(self._states.values())

    def now(self) -> tuple[S, float]:
        """The state to use now, and the time."""
        state, clock = self.timed()
        return state, clock()

    def timed(self) -> tuple[S, Callable[[], float]]:
        """The state to use now, and what gives its time."""
        clock = self._clock
        owner: object = self
        if clock is None:
            clock = service_time()
            # Of a method, the object whose time it is.
            owner = getattr(clock, "__self__", clock)
        state = self._states.get(owner)
        if state is None:
            state = self._states[owner] = self._make()
        return state, clock
