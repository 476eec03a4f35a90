"""Which delivery tags of one channel are settled, and what to tell the broker: pure."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple


class Told(NamedTuple):
    """What to tell the broker, in this order: give back, take one by one, take all up to."""

    nacked: list[int]
    acked: list[int]
    acked_up_to: int | None


class Settlements:
    """The tags of one channel between their delivery and their settlement.

    Holds only what the broker still waits for, however long the oldest of them stands.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[int, bool] = OrderedDict()  # each with: is it acked?
        self._acked: list[int] = []
        self._nacked: list[int] = []

    @property
    def untold(self) -> int:
        """How many settlements the broker has not been told of."""
        return len(self._acked) + len(self._nacked)

    @property
    def unsettled(self) -> int:
        """How many deliveries are neither acked nor nacked."""
        return len(self._open) - len(self._acked)

    def delivered(self, tag: int) -> None:
        """The broker has handed this tag out."""
        self._open[tag] = False

    def ack(self, tag: int) -> None:
        """The delivery is done; without effect when it is settled already."""
        if self._open.get(tag) is False:
            self._open[tag] = True
            self._acked.append(tag)

    def nack(self, tag: int) -> None:
        """The delivery goes back; without effect when it is settled already."""
        if self._open.get(tag) is False:
            del self._open[tag]
            self._nacked.append(tag)

    def take_runs(self) -> Told:
        """What is given back, and the run of acked tags from the oldest on; the rest may wait."""
        return Told(self._take_nacked(), [], self._take_run())

    def take_all(self) -> Told:
        """Every settlement the broker has not been told of."""
        nacked, up_to = self._take_nacked(), self._take_run()
        acked, self._acked = self._acked, []
        self._forget(acked)
        return Told(nacked, acked, up_to)

    def _take_nacked(self) -> list[int]:
        nacked, self._nacked = sorted(self._nacked), []
        return nacked

    def _take_run(self) -> int | None:
        last: int | None = None
        while self._open:
            tag = next(iter(self._open))
            if not self._open[tag]:
                break
            del self._open[tag]
            last = tag
        if last is not None:
            self._acked = [tag for tag in self._acked if tag > last]
        return last

    def _forget(self, tags: Iterable[int]) -> None:
        for tag in tags:
            del self._open[tag]
