"""The time in which a member of a group holds nothing, and waits to be told what it may read."""

from collections.abc import Callable
from time import monotonic


class Vacancy:
    """Begins when a member has nothing any more, and ends when the group has assigned something.

    It outlives clients. ``patience``: the seconds after which it is a problem.
    """

    def __init__(self, group: str, patience: float, now: Callable[[], float] = monotonic) -> None:
        self._group = group
        self._patience = patience
        self._now = now
        self._since: float | None = now()
        self._failure: str | None = None

    def begin(self, failure: str | None = None) -> None:
        """Nothing is held from now on; with the reason, if that is a failure."""
        self._failure = failure or self._failure
        if self._since is None:
            self._since = self._now()

    def end(self) -> None:
        """The group has told what this member may read, if only that others read it all."""
        self._since = self._failure = None

    @property
    def problem(self) -> str | None:
        """A sentence for one that lasts too long, or that a failure began."""
        lasting = 0.0 if self._since is None else self._now() - self._since
        if self._failure is not None:
            return f"nothing is read for {lasting:.0f} s: {self._failure}"
        if lasting < self._patience:
            return None
        return (
            f"the group {self._group!r} has assigned no partitions to this member for "
            f"{lasting:.0f} s: it is in a rebalance, or a member of it does not answer"
        )
