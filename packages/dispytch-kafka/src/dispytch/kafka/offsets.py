"""Which offset a partition may commit."""

from collections.abc import Sequence


class Offsets:
    """The offsets of one partition that were handed out, and the place up to which all are done.

    That place is what a commit says: a consumer that starts there misses nothing. Offsets are
    handed out in ascending order but with gaps, where the log was compacted or holds transaction
    markers, so nothing here counts from one to the next. They are settled in any order. A
    settlement costs the same however many are open; `position` is asked once per commit.
    """

    __slots__ = ("_end", "_given_back", "_open")

    def __init__(self) -> None:
        self._open: dict[int, None] = {}
        self._given_back: set[int] = set()
        self._end: int | None = None

    @property
    def in_flight(self) -> int:
        """How many are handed out and neither settled nor given back."""
        return len(self._open) - len(self._given_back)

    @property
    def is_done(self) -> bool:
        """Whether all that were handed out are settled."""
        return not self._open

    @property
    def position(self) -> int | None:
        """The oldest offset that is not settled, or the one after the last; None at first."""
        return next(iter(self._open), self._end)

    def hand_out(self, offsets: Sequence[int]) -> None:
        """Note new offsets, ascending and above all before."""
        if offsets:
            self._open.update(dict.fromkeys(offsets))
            self._end = offsets[-1] + 1

    def settle(self, offset: int) -> bool:
        """Note that this one is done; whether it was in flight."""
        if self._given_back and offset in self._given_back:
            return False
        return self._open.pop(offset, False) is None

    def give_back(self, offset: int) -> bool:
        """Note that this one waits to be handed out again; whether it was in flight."""
        if offset not in self._open or offset in self._given_back:
            return False
        self._given_back.add(offset)
        return True

    def hand_out_again(self, offset: int) -> None:
        """Note that one that was given back is in flight again; it keeps its place."""
        self._given_back.discard(offset)
