"""Lanes: which event may run next. Pure bookkeeping, no clock and no tasks."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from dispytch.delivery.attempt import Owed
from dispytch.messages import Delivery, Lease

Ordering = Literal["key", "partition", "none"]
"""What is kept in order: the events of one key, of one stream, or nothing."""

_WHOLE_STREAM = b""


class Lane:
    """Events that run one at a time, in order: those of one key on one stream.

    ``owed`` is what its first event still has to have before it is done, when that is known.
    """

    __slots__ = ("key", "lease", "owed", "waiting")

    def __init__(self, lease: Lease, key: bytes | None, first: Delivery) -> None:
        self.lease = lease
        self.key = key
        self.waiting = deque((first,))
        self.owed: Sequence[Owed] | None = None


class Lanes:
    """All lanes that have events. A lane is *ready*, or with whoever took it.

    A taken lane is given back by `advance`, when its first event is done, or by `again`, when that
    event must run once more; whoever takes a lane decides when. A lane of a dropped lease is gone:
    giving it back has no effect.

    fill_gaps: remember how far each stream has been started, so that `retire` can keep what lies
        before that.
    """

    def __init__(self, ordering: Ordering, *, fill_gaps: bool = False) -> None:
        self.ready: deque[Lane] = deque()
        self._furthest: dict[Lease, int] | None = {} if fill_gaps else None
        self._ordering = ordering
        self._by_lease: dict[Lease, dict[bytes, Lane]] = {}

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Put deliveries behind those of their key."""
        by_lease, ready, ordering = self._by_lease, self.ready, self._ordering
        for delivery in deliveries:
            lease = delivery.lease
            lanes = by_lease.get(lease)
            if lanes is None:
                lanes = by_lease[lease] = {}
            key = delivery.key if ordering == "key" else _WHOLE_STREAM
            if key is None or ordering == "none":
                ready.append(Lane(lease, None, delivery))
                continue
            lane = lanes.get(key)
            if lane is not None:
                lane.waiting.append(delivery)
            else:
                lanes[key] = lane = Lane(lease, key, delivery)
                ready.append(lane)

    def take(self) -> Lane:
        """The lane that has been ready for longest; it is the taker's until given back."""
        lane = self.ready.popleft()
        if self._furthest is not None:
            position = lane.waiting[0].position
            if position > self._furthest.get(lane.lease, -1):
                self._furthest[lane.lease] = position
        return lane

    def advance(self, lane: Lane) -> None:
        """Give a lane back whose first event is done."""
        waiting = lane.waiting
        if not waiting:
            return
        waiting.popleft()
        lane.owed = None
        if waiting:
            self.ready.append(lane)
        elif lane.key is not None:
            del self._by_lease[lane.lease][lane.key]

    def again(self, lane: Lane) -> None:
        """Give a lane back whose first event must run again."""
        if lane.waiting and lane.lease in self._by_lease:
            self.ready.append(lane)

    def has_ready(self, leases: Collection[Lease] | None) -> bool:
        """Whether a lane of these leases, None for all, is ready."""
        return any(leases is None or lane.lease in leases for lane in self.ready)

    def retire(self, leases: Collection[Lease] | None) -> None:
        """Forget what has not started of these leases, None for all.

        With ``fill_gaps``, what lies before an event that has started stays: as long as it is not
        done, the broker cannot be told that the later one is.
        """
        if leases is None:
            leases = tuple(self._by_lease)
        if self._furthest is None:
            self.drop(leases)
            return
        for lease in leases:
            for lane in self._by_lease.get(lease, {}).values():
                self._cut(lane)
        kept = [lane for lane in self.ready if lane.lease not in leases or self._cut(lane)]
        self.ready.clear()
        self.ready.extend(kept)

    def _cut(self, lane: Lane) -> bool:
        """Forget what lies beyond all that has started; whether anything is left."""
        assert self._furthest is not None
        furthest = self._furthest.get(lane.lease, -1)
        while lane.waiting and lane.waiting[-1].position > furthest:
            lane.waiting.pop()
        return bool(lane.waiting)

    def drop(self, leases: Collection[Lease]) -> None:
        """Forget everything of these leases that has not started.

        The event that a taken lane is busy with is its taker's to finish.
        """
        for lease in leases:
            for lane in self._by_lease.pop(lease, {}).values():
                lane.waiting.clear()
            if self._furthest is not None:
                self._furthest.pop(lease, None)
        kept = [lane for lane in self.ready if lane.lease in self._by_lease]
        self.ready.clear()
        self.ready.extend(kept)

    def drop_all(self) -> None:
        """Forget everything that has not started."""
        self.drop(tuple(self._by_lease))
